import { openSqliteStorage } from "../../src/storage/sqlite/open.ts";
import { storageContract } from "../contracts/storage.ts";
import { tempDir } from "./temp-dir.ts";

storageContract("sqlite", () => openSqliteStorage({ dataDir: tempDir() }));
