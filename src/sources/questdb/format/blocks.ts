/**
 * Cuts a stream of bytes into blocks.
 * @param nextBlock memory for the next block; called when there is at least one byte to put into it
 * @returns each block once it is full; the last one may be shorter than its memory
 */
export async function* inBlocks(
  parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  nextBlock: () => Buffer,
): AsyncGenerator<Buffer> {
  let block: Buffer | undefined;
  let filled = 0;
  for await (const part of parts) {
    for (let at = 0; at < part.length; ) {
      block ??= nextBlock();
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
