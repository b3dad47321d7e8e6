"""Puts the value on standard input: ``put.py NAME SLOT``."""

import os
import sys

import secretslots

address = os.environ.get("SLOTS_ADDRESS", "127.0.0.1:50051")
token_file = os.environ.get("SLOTS_TOKEN_FILE", "data/admin.token")
with secretslots.connect(address, token_file=token_file) as client:
    done = client.put_slot(sys.argv[1], sys.stdin.buffer.read(), slot=int(sys.argv[2]))
    print(f"{done.name} has slot {done.slot}, and {done.current_slot} is current")
