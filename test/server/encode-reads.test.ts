import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, it } from "vitest";
import { GetEffectiveAtResponseSchema } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import type { EffectiveAnswer } from "../../src/core/reads.ts";
import { crc32c } from "../../src/crypto/crc32c.ts";
import { SecretValue } from "../../src/domain/secret-value.ts";
import { messageIn, ReadEncoder } from "../../src/server/services/encode-reads.ts";

it("encodes GetEffectiveAt as the library does, whatever the numbers", () => {
  const number = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });
  const encoder = new ReadEncoder();
  fc.assert(
    fc.property(
      number,
      number,
      number,
      fc.uint8Array(),
      fc.nat(),
      (at, slot, revision, bytes, createTime) => {
        const value = new SecretValue(bytes, crc32c(bytes));
        const answer = {
          name: "a/b",
          slot: { slot, createTime },
          value,
          revision,
          epoch: "e".repeat(32),
          at,
        };
        const frame = encoder.effective(answer as unknown as EffectiveAnswer);
        const encoded = messageIn(frame);
        expect([frame[0], frame.readUInt32BE(1)]).toEqual([0, encoded.length]);
        const decoded = fromBinary(GetEffectiveAtResponseSchema, encoded);
        expect([decoded.at, decoded.slot, decoded.revision, Buffer.from(decoded.value)]).toEqual([
          at,
          slot,
          revision,
          Buffer.from(bytes),
        ]);
        expect(
          Buffer.from(toBinary(GetEffectiveAtResponseSchema, create(GetEffectiveAtResponseSchema, decoded))),
        ).toEqual(Buffer.from(encoded));
      },
    ),
  );
});
