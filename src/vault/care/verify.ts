import {BkpError} from '../../errors/index.ts';
import {forEachConcurrent} from '../../lib/async.ts';
import type {Store} from '../../stores/index.ts';
import {readIndex} from '../format/index-object.ts';
import {damagedPackKey, indexKey, indexOfKey, indexPrefix, packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import {noteDamage} from '../indexes/damage-notes.ts';
import {Closure} from '../read/closure.ts';
import {Recovery} from '../read/recovery.ts';
import type {StreamReader} from '../read/stream-reader.ts';
import type {ChunkId, Finding, PackId, Recipe, VerifyLevel} from '../types.ts';
import {Findings} from './findings.ts';
import {type PackCheck, verifyPack} from './verify-pack.ts';

/** Indexes read at once; each is small. */
const indexesAtOnce = 4;

/** Packs read at once, a few MiB of each in memory: enough to keep the disk and the processors busy. */
const packsAtOnce = 4;

export type VerifyOptions = {
  level: VerifyLevel;
  signal?: AbortSignal;
  progress?: (bytesDone: number, bytesTotal: number) => void;
};

/** See `VaultReader.verify`. */
export async function verify(
  {store, index, reader}: {store: Store; index: ChunkIndex; reader: StreamReader},
  recipes: readonly Recipe[],
  {level, signal, progress}: VerifyOptions,
): Promise<readonly Finding[]> {
  const findings = new Findings();
  const ofIndexes = new Findings();
  await verifyIndexes({store, index}, ofIndexes, signal);
  await index.apply(await index.observe());
  const closure = new Closure(index, reader);
  try {
    for (const recipe of recipes) await closure.addStream(recipe, (error) => addUnlessMissing(error), signal);
    for (const fault of index.faults.values()) (isOfIndex(fault) ? ofIndexes : findings).add(fault);
    const {fault} = index.removals();
    if (fault !== undefined) findings.addError(fault);
    for (const id of closure.missing) findings.add(lost(index, id));
    const packs = closure.packs();
    const unlisted = index.unlistedPacks().filter((pack) => packs.has(pack));
    // An index that cannot be read does no harm when others list all that is needed; the next cleanup removes it.
    if (unlisted.length + closure.missing.size > 0) for (const fault of ofIndexes.all()) findings.add(fault);
    for (const pack of unlisted) {
      findings.add({what: 'missing', key: packKey(pack), pack, detail: `no index lists pack ${pack}, which is needed`});
    }
    const check: PackCheck = {store, index, reader, recovery: new Recovery(index), findings, level, signal};
    const bytesTotal = closure.storedBytes();
    let bytesDone = 0;
    await forEachConcurrent(packs, packsAtOnce, async ([pack, neededBytes]) => {
      signal?.throwIfAborted();
      await verifyPack(check, pack, closure.chunksOf(pack));
      bytesDone += neededBytes;
      progress?.(bytesDone, bytesTotal);
    });
    await noteFindings(store, findings, index.distrustedPacks());
    const damaged = findings.damagedPacks();
    if (level === 'data') await index.clearDamage([...packs.keys()].filter((pack) => !damaged.has(pack)));
    return findings.all();
  } finally {
    closure.close();
  }

  /** A chunk of a list that is missing is told with all that are. */
  function addUnlessMissing(error: unknown): void {
    const chunk = error instanceof BkpError ? error.context.chunk : undefined;
    if (!(typeof chunk === 'string' && closure.missing.has(chunk as ChunkId))) findings.addError(error);
  }
}

const isOfIndex = ({key}: Finding) => key?.startsWith(indexPrefix) ?? false;

/** So that the next backup writes anew what is lost, instead of counting on it. */
async function noteFindings(store: Store, findings: Findings, noted: ReadonlySet<PackId>): Promise<void> {
  for (const pack of findings.damagedPacks()) {
    if (noted.has(pack)) continue;
    try {
      await noteDamage(store, pack);
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      const detail = `that pack ${pack} is damaged could not be noted: the next backup may count on it. ${error.message}`;
      findings.add({what: 'damaged', key: damagedPackKey(pack), detail});
    }
  }
}

/**
 * Every index in the store, read again: the local copy says nothing of what became of it since. It forgets a damaged one,
 * so that the next writer lists its packs anew.
 */
async function verifyIndexes(
  {store, index}: {store: Store; index: ChunkIndex},
  findings: Findings,
  signal?: AbortSignal,
): Promise<void> {
  await forEachConcurrent(store.list(indexPrefix), indexesAtOnce, async ({key}) => {
    signal?.throwIfAborted();
    const id = indexOfKey(key);
    if (id === undefined) return;
    try {
      await readIndex(store, id);
    } catch (error) {
      // Replaced by a collector since it was listed: then nothing needs it.
      if (error instanceof BkpError && error.code === 'OBJECT_MISSING') return;
      findings.addError(error, {key: indexKey(id)});
      index.forget(id);
    }
  });
}

/** Why a chunk can be had from nowhere. */
export function lost(index: ChunkIndex, chunk: ChunkId): Finding {
  const [place] = index.namedLocations(chunk);
  if (place === undefined) return {what: 'missing', chunk, detail: `chunk ${chunk} is in no pack of the vault`};
  const {pack, base} = place;
  if (!index.absentPacks().has(pack)) {
    return {
      what: 'missing',
      chunk,
      key: packKey(pack),
      pack,
      detail: `chunk ${chunk} is a difference to chunk ${base}, which is lost`,
    };
  }
  return {
    what: 'missing',
    chunk,
    key: packKey(pack),
    pack,
    detail: `pack ${pack}, in which chunk ${chunk} lies, is gone or has the wrong length`,
  };
}
