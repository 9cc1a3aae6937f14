import type {FrozenFile} from '../file-source.ts';

/** A file of the moment, with what only its reader must know. */
export type ListedFile = FrozenFile & {
  /**
   * Its end was found by looking for zeros, while the server may go on writing behind what the moment has, and may cut that
   * off again. Then zeros stand for what was cut. Otherwise each byte belongs to the moment, and a missing one is a hole.
   */
  openEnded: boolean;
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
