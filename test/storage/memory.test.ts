import { openMemoryStorage } from "../../src/storage/memory/memory-storage.ts";
import { storageContract } from "../contracts/storage.ts";

storageContract("memory", async () => openMemoryStorage());
