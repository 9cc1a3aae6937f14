import type {FrozenFile} from '../../file-source.ts';

/** Allocates memory for a block of this many bytes. */
export type BlockMemory = (sizeBytes: number) => Buffer;

/** Bytes of the backup at a position where the file now has others. */
export type Patch = {at: number; bytes: Buffer};

/** A file of the backup, with what only its reader needs. */
export type ListedFile = FrozenFile & {
  /**
   * Its end was found by searching for zeros. The server may write past it, and may truncate the file again; zeros
   * then replace what was truncated. Otherwise every byte belongs to the backup, and a missing byte is an error.
   */
  openEnded: boolean;
  /** Path below the root of the file to read; absent: the path under which it is restored. */
  from?: string | undefined;
  patches?: readonly Patch[] | undefined;
  /** Builds its bytes from other files, in the blocks that `Frozen.read` returns. */
  make?: (memory: BlockMemory) => AsyncIterable<Uint8Array>;
  /** Throws when the bytes that were read do not belong to the backup. */
  check?: () => void;
};

/**
 * QuestDB appends to files and changes them in place, so bytes do not shift. Small blocks find more that is stored
 * already; large blocks need fewer index entries and compress better. docs/questdb.md has the measurements.
 */
export const blockBytes = 128 * 1024;

/** Compares code units, so that the order is the same on every machine. */
export function byPath(a: {path: string}, b: {path: string}): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}
