import { open } from "@secretslots/client";

const { SLOTS_ADDRESS = "127.0.0.1:50051", SLOTS_TOKEN_FILE = "data/admin.token" } = process.env;
const secrets = await open({ address: SLOTS_ADDRESS, tokenFile: SLOTS_TOKEN_FILE, names: ["app/db"] });
const db = secrets.handle("app/db");
console.log(db.current()); // Prints [secret] for the value; db.current().value.text() is the password.
console.log("effective then: slot", db.effectiveAt(1741790697).slot);
db.onChange(({ current }) => console.log("rotated: revision", current.revision));
await secrets.close();
