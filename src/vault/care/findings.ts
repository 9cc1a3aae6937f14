import {isDamage} from '../format/damage.ts';
import {packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {PacksInStore} from '../indexes/listing.ts';
import type {ChunkId, Finding, PackId} from '../types.ts';

/** What a verification found, without duplicates. */
export class Findings {
  readonly #findings = new Map<string, Finding>();

  add(finding: Finding): void {
    const name = `${finding.what} ${finding.chunk ?? finding.key ?? finding.detail}`;
    if (!this.#findings.has(name)) this.#findings.set(name, finding);
  }

  /** @throws the error itself unless it says that the content of the store is missing or damaged */
  addError(error: unknown, where: Pick<Finding, 'key' | 'pack' | 'chunk' | 'needed'> = {}): void {
    if (!isDamage(error)) throw error;
    const context = error.context as {key?: string; pack?: PackId; chunk?: Finding['chunk'] & string};
    const what = error.code === 'OBJECT_MISSING' ? 'missing' : 'damaged';
    this.add({what, ...context, ...where, detail: error.message});
  }

  isAbout(pack: PackId): boolean {
    return this.all().some((finding) => finding.pack === pack);
  }

  /** Packs that are in the store with other content than was written. */
  damagedPacks(): ReadonlySet<PackId> {
    const damaged = this.all().filter((finding) => finding.what === 'damaged');
    return new Set(damaged.flatMap(({pack}) => pack ?? []));
  }

  all(): readonly Finding[] {
    return [...this.#findings.values()];
  }
}

/** Why a chunk that is needed cannot be read from any location. */
export function lost(index: ChunkIndex, chunk: ChunkId): Finding {
  const [location] = index.namedLocations(chunk);
  if (location === undefined) return {what: 'missing', chunk, detail: `chunk ${chunk} is in no pack of the vault`};
  const {pack, base} = location;
  const detail = index.absentPacks().has(pack)
    ? `pack ${pack}, which has chunk ${chunk}, is missing or has the wrong length`
    : `chunk ${chunk} is a difference to chunk ${base}, which is lost`;
  return {what: 'missing', chunk, key: packKey(pack), pack, detail};
}

/**
 * Packs that an earlier verification found damaged, or that have the wrong length, and of which nothing that is
 * verified now needs a chunk. They do no harm, and stay until a collector removes them.
 */
export function unneededDamage(
  index: ChunkIndex,
  inStore: PacksInStore,
  needed: {has: (pack: PackId) => boolean},
): readonly Finding[] {
  const found: Finding[] = [];
  const add = (pack: PackId, detail: string) => found.push({what: 'damaged', key: packKey(pack), pack, detail});
  for (const [pack, {lengthBytes}] of inStore) {
    if (needed.has(pack)) continue;
    const known = index.packLength(pack);
    if (known !== undefined && known !== lengthBytes)
      add(pack, `pack ${pack} has ${lengthBytes} bytes instead of ${known}`);
    else if (index.isDistrusted(pack)) add(pack, `an earlier VERIFY found pack ${pack} damaged`);
  }
  return found;
}
