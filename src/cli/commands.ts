import type { Command } from "commander";
import { addCan, addInfo, addWhoAmI } from "./access.ts";
import { addAudit } from "./audit.ts";
import { addBackups } from "./backup.ts";
import { addDelete, addSlotChanges, addUpdate } from "./change.ts";
import { addCompletion } from "./completion.ts";
import { addDescribe } from "./describe.ts";
import { addExec } from "./exec/command.ts";
import { addGet } from "./get.ts";
import { addKeys } from "./key.ts";
import { addList } from "./list.ts";
import { addPolicies } from "./policy.ts";
import { addPut } from "./put.ts";
import { addConnectFlags, addOutputFlag } from "./session.ts";
import { addTls } from "./tls.ts";
import { addTokens } from "./token.ts";
import { addWatch } from "./watch.ts";

/** Adds every command but `serve`. */
export function addClientCommands(program: Command): void {
  addConnectFlags(addOutputFlag(program));
  addPut(program);
  addGet(program);
  addWatch(program);
  addList(program);
  addDescribe(program);
  addSlotChanges(program);
  addUpdate(program);
  addDelete(program);
  addExec(program);
  addWhoAmI(program);
  addCan(program);
  addTokens(program);
  addPolicies(program);
  addKeys(program);
  addBackups(program);
  addAudit(program);
  addTls(program);
  addInfo(program);
  addCompletion(program);
}
