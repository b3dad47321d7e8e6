import { open } from "@secretslots/client";

const { SLOTS_ADDRESS, SLOTS_TOKEN_FILE } = process.env;
const secrets = await open({ address: SLOTS_ADDRESS, tokenFile: SLOTS_TOKEN_FILE, names: ["examples/db"] });
const db = secrets.handle("examples/db");
console.log(db.current()); // Prints [secret] for the value; db.current().value.text() is the password.
await secrets.close();
