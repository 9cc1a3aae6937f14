import {BkpError} from '../errors/index.ts';
import type {Store} from '../stores/index.ts';
import type {ChunkIndex} from './chunk-index.ts';
import {type ChunkReader, chunkMissing, Recovery} from './chunk-reader.ts';
import type {Location} from './chunk-table.ts';
import {Closure} from './closure.ts';
import {isDamage} from './damage.ts';
import {forEach} from './in-order.ts';
import {readIndex} from './index-object.ts';
import {indexKey, indexOfKey, indexPrefix, packKey} from './key.ts';
import {readPackTable} from './pack.ts';
import type {Finding, PackId, Recipe, VerifyLevel} from './types.ts';

/** Objects looked at at once. */
const looksAtOnce = 4;

/** One read of a pack brings at most this much (or one chunk). */
const readBytes = 4 * 1024 * 1024;

export type VerifyOptions = {
  level: VerifyLevel;
  signal?: AbortSignal;
  progress?: (bytesDone: number, bytesTotal: number) => void;
};

/** See `VaultReader.verify`. */
export async function verify(
  deps: {store: Store; index: ChunkIndex; reader: ChunkReader},
  recipes: readonly Recipe[],
  options: VerifyOptions,
): Promise<readonly Finding[]> {
  const {store, index, reader} = deps;
  const findings = new Findings();
  await index.sync();
  await index.surveyPacks();
  const closure = new Closure(index, reader);
  try {
    await checkIndexes(store, findings, options.signal);
    for (const recipe of recipes) {
      await closure.addStream(recipe, (error) => findings.addError(error), options.signal);
    }
    for (const fault of index.faults.values()) findings.add(fault);
    for (const id of closure.missing) findings.addError(chunkMissing(id));
    const unlisted = new Set(index.unlistedPacks());
    const packs = closure.packs();
    const bytesTotal = closure.storedBytes();
    let bytesDone = 0;
    const recovery = new Recovery(index);
    await forEach(packs, looksAtOnce, async ([pack, neededBytes]) => {
      options.signal?.throwIfAborted();
      if (unlisted.has(pack)) {
        findings.add({what: 'missing', key: packKey(pack), pack, detail: `no index lists the needed pack ${pack}`});
      }
      const chunks = closure.chunksOf(pack);
      const isSound = await checkStructure(deps, pack, chunks, findings);
      if (isSound && options.level === 'data') await checkData(reader, chunks, recovery, findings, options.signal);
      bytesDone += neededBytes;
      options.progress?.(bytesDone, bytesTotal);
    });
    return findings.all();
  } finally {
    closure.close();
  }
}

/** Every index in the store, read again: the local copy says nothing of what became of it since. */
async function checkIndexes(store: Store, findings: Findings, signal?: AbortSignal): Promise<void> {
  await forEach(store.list(indexPrefix), looksAtOnce, async ({key}) => {
    signal?.throwIfAborted();
    const id = indexOfKey(key);
    if (id === undefined) return;
    try {
      await readIndex(store, id);
    } catch (error) {
      // Replaced by a collector meanwhile: it is in the way of nothing.
      if (!(error instanceof BkpError && error.code === 'OBJECT_MISSING'))
        findings.addError(error, {key: indexKey(id)});
    }
  });
}

/** The pack is there with its length, and its own table says of the needed chunks what the index does. */
async function checkStructure(
  {store, index}: {store: Store; index: ChunkIndex},
  pack: PackId,
  chunks: readonly Location[],
  findings: Findings,
): Promise<boolean> {
  const key = packKey(pack);
  try {
    const facts = await store.stat(key);
    if (facts === undefined) {
      findings.add({
        what: 'missing',
        key,
        pack,
        detail: `pack ${pack} is not in the store; ${chunks.length} needed chunks lie in it`,
      });
      return false;
    }
    const lengthBytes = index.packLength(pack);
    if (facts.sizeBytes !== lengthBytes) {
      findings.add({
        what: 'damaged',
        key,
        pack,
        detail: `pack ${pack} has ${facts.sizeBytes} bytes instead of ${lengthBytes}`,
      });
      return facts.sizeBytes > (lengthBytes ?? 0);
    }
    const table = new Map((await readPackTable(store, pack, facts.sizeBytes)).map((entry) => [entry.id, entry]));
    for (const chunk of chunks) {
      const entry = table.get(chunk.id);
      const agrees =
        entry?.offset === chunk.offset && entry.storedBytes === chunk.storedBytes && entry.base === chunk.base;
      if (!agrees)
        findings.add({
          what: 'damaged',
          key,
          pack,
          chunk: chunk.id,
          detail: `the pack’s table and the index disagree about chunk ${chunk.id}`,
        });
    }
  } catch (error) {
    findings.addError(error, {key, pack});
  }
  return true;
}

/** Every needed byte of the pack: decoded and hashed. */
async function checkData(
  reader: ChunkReader,
  chunks: readonly Location[],
  recovery: Recovery,
  findings: Findings,
  signal?: AbortSignal,
): Promise<void> {
  for (const run of runs(chunks)) {
    signal?.throwIfAborted();
    try {
      await reader.checkRange(run, recovery);
    } catch (error) {
      if (!isDamage(error)) throw error;
      // Which ones? Each by itself.
      for (const chunk of run) {
        await reader
          .checkRange([chunk], recovery)
          .catch((problem: unknown) =>
            findings.addError(problem, {key: packKey(chunk.pack), pack: chunk.pack, chunk: chunk.id}),
          );
      }
    }
  }
}

/** Chunks that lie one after the other, cut where one read would get too large. */
function* runs(chunks: readonly Location[]): Iterable<readonly Location[]> {
  let run: Location[] = [];
  let storedBytes = 0;
  for (const chunk of chunks) {
    const last = run.at(-1);
    const adjacent = last !== undefined && last.offset + last.storedBytes === chunk.offset;
    if (run.length > 0 && !(adjacent && storedBytes + chunk.storedBytes <= readBytes)) {
      yield run;
      run = [];
      storedBytes = 0;
    }
    run.push(chunk);
    storedBytes += chunk.storedBytes;
  }
  if (run.length > 0) yield run;
}

/** What was found, each fault once. */
class Findings {
  readonly #findings = new Map<string, Finding>();

  add(finding: Finding): void {
    const name = `${finding.what} ${finding.chunk ?? finding.key ?? finding.detail}`;
    if (!this.#findings.has(name)) this.#findings.set(name, finding);
  }

  /** @throws what is not the store's content's fault */
  addError(error: unknown, where: Pick<Finding, 'key' | 'pack' | 'chunk'> = {}): void {
    if (!isDamage(error)) throw error;
    const context = error.context as {key?: string; pack?: PackId; chunk?: Finding['chunk'] & string};
    this.add({
      what: error.code === 'OBJECT_MISSING' ? 'missing' : 'damaged',
      ...context,
      ...where,
      detail: error.message,
    });
  }

  all(): readonly Finding[] {
    return [...this.#findings.values()];
  }
}
