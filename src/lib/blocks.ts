/**
 * The bytes of `parts` in blocks: each is filled to its end before it is yielded, and only the last one may be
 * shorter.
 * @param memory memory for the next block, not empty. It may return the same memory each time: a block is in use
 *   only until the consumer requests the next one
 */
export async function* inBlocks(
  parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  memory: () => Buffer,
): AsyncGenerator<Buffer> {
  let block: Buffer | undefined;
  let filled = 0;
  for await (const part of parts) {
    for (let at = 0; at < part.length; ) {
      block ??= memory();
      const taken = Math.min(part.length - at, block.length - filled);
      block.set(part.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled < block.length) continue;
      yield block;
      block = undefined;
      filled = 0;
    }
  }
  if (block !== undefined) yield block.subarray(0, filled);
}
