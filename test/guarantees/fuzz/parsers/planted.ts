/** A parser with a fault that chance does not find: one in 2^40 inputs has it. The fuzzer is tested on it. */
export function parsePlanted(bytes: Uint8Array): number {
  let depth = 0;
  if (bytes[0] === 0x9d) {
    depth = 1;
    if (bytes[1] === 0x3b) {
      depth = 2;
      if (bytes[2] === 0xe4) {
        depth = 3;
        if (((bytes[3] ?? 0) ^ 0x5a) === 0x11) {
          depth = 4;
          if (bytes[4] === 0xc7) throw new Error("the planted fault");
        }
      }
    }
  }
  return depth;
}
