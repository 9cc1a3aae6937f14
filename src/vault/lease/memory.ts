import type {LeaseContent} from './content.ts';

/** What is remembered of a lease between two listings. */
export type SeenLease = {
  /** Changes with each renewal. */
  mark: string;
  /** When this mark was first seen, by the monotonic clock. */
  sinceMs: number;
  /** It was seen to be renewed. */
  changed: boolean;
  /** Undefined when it cannot be parsed. */
  content: LeaseContent | undefined;
};

/** Leases by id, as they were last seen. */
export type LeaseMemory = Map<string, SeenLease>;
