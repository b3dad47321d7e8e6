import { MemoryAuditLog } from "../../src/audit/memory-audit-log.ts";
import { auditContract } from "../contracts/audit.ts";
import { FailingFiles, LogFolder } from "./file-log.ts";

auditContract("the log in memory", async () => {
  const log = new MemoryAuditLog();
  return {
    log,
    breakWrites: () => {
      log.failure = new Error("broken");
    },
    repairWrites: () => {
      log.failure = undefined;
    },
    dispose: async () => undefined,
  };
});

for (const sync of ["write", "fsync"] as const) {
  auditContract(`the log in files (${sync})`, async () => {
    const folder = new LogFolder();
    const fs = new FailingFiles();
    const log = await folder.open({ fs, sync });
    return {
      log,
      breakWrites: () => {
        fs.writeError = "EIO";
        fs.partial = 100;
      },
      repairWrites: () => {
        fs.writeError = undefined;
      },
      dispose: async () => folder.remove(),
    };
  });
}
