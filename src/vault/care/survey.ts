import {BkpError} from '../../errors/index.ts';
import {isDamage} from '../format/damage.ts';
import {packKey} from '../format/key.ts';
import {recipeKey} from '../format/recipe.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import {coverageOf} from '../ledger/coverage.ts';
import type {Ledger} from '../ledger/ledger.ts';
import {type LedgerDeps, StoredLedger} from '../ledger/stored-ledger.ts';
import type {Closure} from '../read/closure.ts';
import {neededPacks} from '../read/needed-packs.ts';
import {chunkMissing, Recovery} from '../read/recovery.ts';
import {SlidingClosure} from '../read/sliding-closure.ts';
import type {StreamReader} from '../read/stream-reader.ts';
import type {ChunkId, Needs, PackId, Recipe, Survey, SurveyOptions} from '../types.ts';
import {lost} from './findings.ts';

export type SurveyDeps = LedgerDeps & {index: ChunkIndex; reader: StreamReader};

/** Lists the store once and judges backups by it: see {@link Survey}. */
export async function survey({index, reader, ...deps}: SurveyDeps): Promise<Survey> {
  await index.apply(await index.observe());
  // Shared by all backups, so that missing chunks cause one rebuild of the index only.
  const recovery = new Recovery(index);
  let read: Promise<Ledger> | undefined;
  const ledger = () => (read ??= StoredLedger.read(deps).then((stored) => stored.ledger));
  const needsIn = async (closure: Closure): Promise<Needs> => {
    const {neededBytes, neverBytes, oldestMs} = coverageOf(closure, await ledger(), (pack) => isSound(index, pack));
    const isVerified = neverBytes === 0 && closure.missing.size === 0 && oldestMs !== undefined;
    return {storedBytes: neededBytes, ...(isVerified ? {verifiedMs: oldestMs} : {})};
  };
  const needsOf = async (recipes: readonly Recipe[]): Promise<Needs> => {
    const closure = new SlidingClosure(index, reader);
    try {
      return await needsIn(await closure.of(recipes));
    } finally {
      closure.close();
    }
  };
  const [soundTops, sound] = [new SoundStreams(index), new SoundStreams(index)];
  return {
    needsInTurn: () => {
      const closure = new SlidingClosure(index, reader);
      return {of: async (recipes) => needsIn(await closure.of(recipes)), close: () => closure.close()};
    },
    verifiedMs: async (recipes) => {
      const known = await ledger();
      const isKnown = (id: ChunkId) => {
        const place = index.locate(id);
        return place !== undefined && isSound(index, place.pack) && known.has(place.pack);
      };
      if (known.isEmpty || !recipes.every(({chunks}) => chunks.every(isKnown))) return undefined;
      return (await needsOf(recipes)).verifiedMs;
    },
    faultOf: async (recipes, {signal, skipLists = false}: SurveyOptions = {}) => {
      if (skipLists && index.absentPacks().size === 0 && index.distrustedPacks().size === 0)
        return soundTops.judge(recipes, (others) => topFault(index, others));
      try {
        return await sound.judge(recipes, async (others) =>
          faultIn(index, await neededPacks({index, reader, recovery}, others, signal)),
        );
      } catch (error) {
        if (!isDamage(error)) throw error;
        const {chunk} = error.context as {chunk?: ChunkId};
        return error.code === 'OBJECT_MISSING' && chunk !== undefined ? lostChunk(index, chunk) : error;
      }
    },
  };
}

const isSound = (index: ChunkIndex, pack: PackId) => !index.isDistrusted(pack) && !index.absentPacks().has(pack);

/** Streams in which no fault was found. Most streams of a backup are also those of the one before. */
class SoundStreams {
  readonly #index: ChunkIndex;
  readonly #sound = new Set<string>();
  /** What the index knew to be absent and damaged when they were judged. */
  #judgedBy: readonly unknown[] = [];

  constructor(index: ChunkIndex) {
    this.#index = index;
  }

  /** @param faultOf judges those streams that are not known to be sound */
  async judge(
    recipes: readonly Recipe[],
    faultOf: (others: readonly Recipe[]) => Promise<BkpError | undefined> | BkpError | undefined,
  ): Promise<BkpError | undefined> {
    this.#forgetOutdated();
    const others = recipes.filter((recipe) => !this.#sound.has(recipeKey(recipe)));
    const fault = await faultOf(others);
    this.#forgetOutdated();
    if (fault === undefined) for (const recipe of others) this.#sound.add(recipeKey(recipe));
    return fault;
  }

  /** Both sets are replaced when the store is listed again. */
  #forgetOutdated(): void {
    const now = [this.#index.absentPacks(), this.#index.distrustedPacks()];
    if (now.every((packs, at) => packs === this.#judgedBy[at])) return;
    this.#judgedBy = now;
    this.#sound.clear();
  }
}

/** The first of these packs that an earlier verification found damaged. */
export function faultIn(index: ChunkIndex, packs: Iterable<PackId>): BkpError | undefined {
  for (const pack of packs) {
    if (index.isDistrusted(pack)) return foundDamaged(pack);
  }
  return undefined;
}

function foundDamaged(pack: PackId): BkpError {
  return new BkpError('OBJECT_DAMAGED', `pack ${pack}, which it needs, was found damaged by a VERIFY`, {
    next: "VERIFY … WITH (LEVEL='data') reads it again and lists what is lost",
    context: {key: packKey(pack), pack},
  });
}

/**
 * A fault among the chunks that the recipes name themselves. All packs that the indexes name are in the store, so such
 * a chunk is missing only if its index is.
 */
function topFault(index: ChunkIndex, recipes: readonly Recipe[]): BkpError | undefined {
  const chunk = recipes.flatMap(({chunks}) => chunks).find((id) => index.locate(id) === undefined);
  return chunk === undefined ? undefined : lostChunk(index, chunk);
}

function lostChunk(index: ChunkIndex, chunk: ChunkId): BkpError {
  const {detail, key, pack} = lost(index, chunk);
  const where = {...(key === undefined ? {} : {key}), ...(pack === undefined ? {} : {pack}), chunk};
  return new BkpError('OBJECT_MISSING', detail, {next: chunkMissing(chunk).next!, context: where});
}
