import {BkpError} from '../../errors/index.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import type {ChunkId} from '../types.ts';

/**
 * Rebuilds the index from the store when something is not where it should be, at most once for one piece of work: after
 * that, a fault is a fault of the store.
 */
export class Recovery {
  readonly #index: ChunkIndex;
  #rebuilt: Promise<void> | undefined;

  constructor(index: ChunkIndex) {
    this.#index = index;
  }

  /** Concurrent callers share one rebuild. */
  run(): Promise<void> {
    this.#rebuilt ??= this.#index.rebuild().then(() => {});
    return this.#rebuilt;
  }

  /** The best location of the chunk that `isWanted` accepts. @throws BkpError `OBJECT_MISSING` */
  async locate(id: ChunkId, isWanted: (location: Location) => boolean = () => true): Promise<Location> {
    const find = () => this.#index.locations(id).find(isWanted);
    const known = find();
    if (known !== undefined) return known;
    await this.run();
    const found = find();
    if (found === undefined) throw chunkMissing(id);
    return found;
  }
}

export function chunkMissing(id: ChunkId): BkpError {
  return new BkpError('OBJECT_MISSING', `chunk ${id} is in no pack of the vault`, {
    next:
      'VERIFY the collection to see what else is missing; then copy it again from a store that has it, ' +
      'or take a new full backup',
    context: {chunk: id},
  });
}
