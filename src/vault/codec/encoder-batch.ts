import type {ChunkEncoding} from '../format/entry.ts';
import type {ChunkId} from '../types.ts';
import type {Base, ColumnPart} from './codec.ts';

/** Bytes in the memory that a batch shares with its thread. */
export type Part = {at: number; length: number};

export type Job = {
  id: ChunkId;
  plain: Part;
  column?: ColumnPart;
  base?: Omit<Base, 'stored'> & {stored: Part};
  /** Where there is room for the stored form, which is never longer than the plain one. */
  out: number;
};

/** What a thread is asked for. */
export type Batch = {memory: SharedArrayBuffer; jobs: readonly Job[]};

/** `check`: BLAKE3 of the stored bytes as the thread has seen them, 64 hex digits. */
export type EncodedPart = {encoding: ChunkEncoding; stored: Part; check: string; base?: ChunkId};

/** In the order of the jobs. */
export type BatchResult = (EncodedPart | {error: string})[];
