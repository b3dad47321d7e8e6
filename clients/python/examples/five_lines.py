import secretslots

password = secretslots.open("127.0.0.1:50051", ["app/db"], token_file="data/admin.token")["app/db"]
print("slot", password.current().slot, "is current, effective then was slot", password.effective_at(1741790697).slot)
for _ in password.changes():
    print("rotated to slot", password.current().slot, "with the value", password.current().value)  # [secret]
