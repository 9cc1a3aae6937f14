import type {FrozenFile} from '../../file-source.ts';

/** Memory for a block of so many bytes. */
export type BlockMemory = (sizeBytes: number) => Buffer;

/** Bytes that the moment has at a place where the file has others by now. */
export type Patch = {at: number; bytes: Buffer};

/** A file of the moment, with what only its reader must know. */
export type ListedFile = FrozenFile & {
  /**
   * Its end was found by looking for zeros, while the server may go on writing behind what the moment has, and may cut that
   * off again. Then zeros stand for what was cut. Otherwise each byte belongs to the moment, and a missing one is a hole.
   */
  openEnded: boolean;
  /** Path of the file below the root that has its bytes; absent: the path under which it is restored. */
  from?: string;
  patches?: readonly Patch[];
  /** Its bytes are made from those of other files, in blocks as `Frozen.read` gives them. */
  make?: (memory: BlockMemory) => AsyncIterable<Uint8Array>;
  /** Throws when what was read cannot be the moment's. */
  check?: () => void;
};

/**
 * Blocks of 128 KiB. QuestDB changes files in place at their ends and shifts nothing, so small blocks find more that is there
 * already, and large ones need fewer entries in indexes and compress better: docs/questdb.md has the numbers.
 */
export const blockBytes = 128 * 1024;

/** By code units, the same on every machine. */
export function byPath(a: {path: string}, b: {path: string}): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}
