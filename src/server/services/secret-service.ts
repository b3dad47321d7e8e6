import type { SecretService } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import type { Core } from "../../core/core.ts";
import { MAX_NAME_BYTES, MAX_PAGE_SIZE, MAX_WATCH_NAMES } from "../../core/limits.ts";
import { parsePageSize } from "../../core/page-token.ts";
import { putSlot } from "../../core/put-slot.ts";
import { settled } from "../../core/reads.ts";
import { deleteSecret, describeSecret, listSecrets, listSlots, updateSecret } from "../../core/secrets.ts";
import { setSlotState } from "../../core/slot-states.ts";
import { SlotsError } from "../../domain/errors.ts";
import { MAX_COMMENT_BYTES, MAX_LABELS, parseRequestId } from "../../domain/metadata.ts";
import { parseSecretName } from "../../domain/names.ts";
import type { Handlers } from "../adapter.ts";
import { secretMetadata, slotMetadata, WIRE_STATE } from "../convert.ts";
import { messageIn } from "./encode-reads.ts";
import { parsePutSlot, parseSlotState, parseUpdateSecret } from "./parse-secret-requests.ts";
import type { ReadService } from "./read-service.ts";
import type { WatchService } from "./watch-service.ts";

/** SecretService: parse once, let the core decide and act, convert back. */
export function secretService(
  core: Core,
  reads: ReadService,
  watches: WatchService,
  features: readonly string[],
): Handlers<typeof SecretService> {
  return {
    getSecret: async (request, call) => messageIn(await settled(reads.getSecret(request, call))),

    getEffectiveAt: async (request, call) => messageIn(await settled(reads.getEffectiveAt(request, call))),

    putSlot: async (request, call) => {
      const { name, epoch, revision, secret, slot, created } = {
        name: request.name,
        ...(await putSlot(core, call, parsePutSlot(core.limits, request))),
      };
      if (slot === undefined) throw new SlotsError("INTERNAL", "a put answered without its slot");
      return {
        name,
        slot: slot.slot,
        state: WIRE_STATE[slot.state],
        revision,
        created: created ?? false,
        ...(secret?.currentSlot === undefined ? {} : { currentSlot: secret.currentSlot }),
        epoch,
      };
    },

    watchSecret: (request, call, send) =>
      watches.watchSecret(request, call, (frame, taken) => send(messageIn(frame), taken)),

    watchSlots: (request, call, send) =>
      watches.watchSlots(request, call, (frame, taken) => send(messageIn(frame), taken)),

    listSecrets: async ({ prefix, pageSize, pageToken }, call) => {
      const page = await listSecrets(core, call, { prefix, pageSize: parsePageSize(pageSize), pageToken });
      const { epoch } = page.head;
      const secrets = page.items.map((secret) => secretMetadata(epoch, secret));
      return { secrets, nextPageToken: page.nextPageToken, epoch };
    },

    describeSecret: async (request, call) => {
      const { head, secret } = await describeSecret(core, call, parseSecretName(request.name));
      return { ...secretMetadata(head.epoch, secret), epoch: head.epoch };
    },

    listSlots: async (request, call) => {
      const name = parseSecretName(request.name);
      const { pageToken } = request;
      const page = await listSlots(core, call, {
        name,
        pageSize: parsePageSize(request.pageSize),
        pageToken,
      });
      return {
        slots: page.items.map(slotMetadata),
        nextPageToken: page.nextPageToken,
        epoch: page.head.epoch,
      };
    },

    updateSecret: async (request, call) => {
      const { epoch, secret } = await updateSecret(core, call, parseUpdateSecret(request));
      if (secret === undefined) throw new SlotsError("INTERNAL", "an update answered without its secret");
      return { ...secretMetadata(epoch, secret), epoch };
    },

    disableSlot: async (request, call) =>
      stateAnswer(await setSlotState(core, call, parseSlotState(request, "disabled"))),
    enableSlot: async (request, call) =>
      stateAnswer(await setSlotState(core, call, parseSlotState(request, "enabled"))),
    destroySlot: async (request, call) =>
      stateAnswer(await setSlotState(core, call, parseSlotState(request, "destroyed"))),

    deleteSecret: async (request, call) => {
      const { etag } = request;
      const name = parseSecretName(request.name);
      const requestId = parseRequestId(request.requestId);
      const { revision, epoch } = await deleteSecret(core, call, { name, etag, requestId });
      return { revision, epoch };
    },

    getServerInfo: async () => {
      const { epoch, revision } = core.opened.sync();
      return {
        version: core.version,
        epoch,
        revision,
        limits: {
          maxValueBytes: core.limits.maxValueBytes,
          maxNameBytes: MAX_NAME_BYTES,
          maxSlotsPerSecret: core.limits.maxSlotsPerSecret,
          maxWatchNames: MAX_WATCH_NAMES,
          maxCommentBytes: MAX_COMMENT_BYTES,
          maxLabels: MAX_LABELS,
          maxPageSize: MAX_PAGE_SIZE,
        },
        features: [...features],
      };
    },
  };
}

function stateAnswer({ epoch, revision, slot }: Awaited<ReturnType<typeof setSlotState>>) {
  if (slot === undefined) throw new SlotsError("INTERNAL", "a state change answered without its slot");
  return { slot: slotMetadata(slot), revision, epoch };
}
