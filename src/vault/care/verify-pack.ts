import type {Store} from '../../stores/index.ts';
import {isDamage} from '../format/damage.ts';
import type {Entry} from '../format/entry.ts';
import {Hasher} from '../format/hash.ts';
import {packKey} from '../format/key.ts';
import {readPackTable} from '../format/pack.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import type {Recovery} from '../read/recovery.ts';
import type {StreamReader} from '../read/stream-reader.ts';
import type {PackId, VerifyLevel} from '../types.ts';
import type {Findings} from './findings.ts';

/** A pack of whose chunks at least this part is needed is read whole, and its own hash compared too. */
const readWholeFrom = 0.5;

/** One read of a pack brings at most this much (or one chunk). */
const readBytes = 4 * 1024 * 1024;

export type PackCheck = {
  store: Store;
  index: ChunkIndex;
  reader: StreamReader;
  recovery: Recovery;
  findings: Findings;
  level: VerifyLevel;
  signal: AbortSignal | undefined;
};

/** Checks one pack, as far as `chunks`, which lie in it in this order, need it. */
export async function verifyPack(check: PackCheck, pack: PackId, chunks: readonly Location[]): Promise<void> {
  const {store, index, findings, level} = check;
  const key = packKey(pack);
  const facts = await store.stat(key);
  if (facts === undefined) return verifyMoved(check, pack, chunks);
  const lengthBytes = index.packLength(pack);
  if (facts.sizeBytes !== lengthBytes) {
    const detail = `pack ${pack} has ${facts.sizeBytes} bytes instead of ${lengthBytes}`;
    for (const {id} of chunks) findings.add({what: 'damaged', key, pack, chunk: id, detail});
    return;
  }
  const table = await verifyTable(check, pack, lengthBytes, chunks);
  if (level === 'structure') {
    // Its lengths and its table say nothing of what was found wrong in its data.
    if (index.isDistrusted(pack)) {
      const detail = `pack ${pack} was found damaged by an earlier VERIFY; LEVEL='data' looks whether it is whole again`;
      findings.add({what: 'damaged', key, pack, needed: chunks.map(({id}) => id), detail});
    }
    return;
  }
  const neededBytes = chunks.reduce((sum, {storedBytes}) => sum + storedBytes, 0);
  const isMostlyNeeded = neededBytes >= index.chunkBytes(pack) * readWholeFrom;
  // One that was found damaged is looked at as a whole: perhaps it was brought back.
  const isWholeRead = isMostlyNeeded || index.isDistrusted(pack);
  if (table !== undefined && isWholeRead) await verifyWhole(check, {pack, lengthBytes, table}, chunks);
  else for (const run of runs(chunks)) await verifyRun(check, run);
}

/** The pack is gone: a collector moved its chunks since we looked, or they are lost. */
async function verifyMoved(check: PackCheck, pack: PackId, chunks: readonly Location[]): Promise<void> {
  const {index, recovery, findings, level} = check;
  await recovery.run();
  for (const {id} of chunks) {
    const place = index.locate(id);
    if (place === undefined || place.pack === pack) {
      findings.add({
        what: 'missing',
        key: packKey(pack),
        pack,
        chunk: id,
        detail: `pack ${pack}, in which chunk ${id} lies, is not in the store`,
      });
    } else if (level === 'data') {
      await verifyRun(check, [place]);
    }
  }
}

/**
 * The pack's own table says of the needed chunks what the index says.
 * @returns the table, undefined when it cannot be read
 */
async function verifyTable(
  {store, findings}: PackCheck,
  pack: PackId,
  lengthBytes: number,
  chunks: readonly Location[],
): Promise<readonly Entry[] | undefined> {
  const key = packKey(pack);
  try {
    const table = await readPackTable(store, pack, lengthBytes);
    const entries = new Map(table.map((entry) => [entry.id, entry]));
    for (const {id, offset, storedBytes, base} of chunks) {
      const entry = entries.get(id);
      if (entry?.offset === offset && entry.storedBytes === storedBytes && entry.base === base) continue;
      const detail = `the table of pack ${pack} and the index disagree about chunk ${id}`;
      findings.add({what: 'damaged', key, pack, chunk: id, detail});
    }
    return table;
  } catch (error) {
    findings.addError(error, {key, pack, needed: chunks.map(({id}) => id)});
    return undefined;
  }
}

type WholePack = {pack: PackId; lengthBytes: number; table: readonly Entry[]};

/** Every byte, needed or not, in the order of the pack. */
async function verifyWhole(
  check: PackCheck,
  {pack, lengthBytes, table}: WholePack,
  chunks: readonly Location[],
): Promise<void> {
  const {store, reader, recovery, findings, signal} = check;
  const key = packKey(pack);
  const needed = new Map(chunks.map((chunk) => [chunk.offset, chunk]));
  const hasher = new Hasher();
  let end = 0;
  try {
    for (const run of runs(table)) {
      signal?.throwIfAborted();
      const start = end;
      end = run.at(-1)!.offset + run.at(-1)!.storedBytes;
      const bytes = await store.get(key, {start, end});
      hasher.update(bytes);
      for (const {offset} of run) {
        const chunk = needed.get(offset);
        if (chunk === undefined) continue;
        const where = {key, pack, chunk: chunk.id};
        await reader.chunks
          .decode(chunk, bytes, start, recovery)
          .catch((error: unknown) => findings.addError(error, where));
      }
    }
    hasher.update(await store.get(key, {start: end, end: lengthBytes}));
    // Else it is told already which chunk is to blame.
    if (hasher.hex() !== pack && !findings.damagedPacks().has(pack))
      findings.add({
        what: 'damaged',
        key,
        pack,
        needed: chunks.map(({id}) => id),
        detail: `the hash of pack ${pack} is not its name`,
      });
  } catch (error) {
    findings.addError(error, {key, pack});
  }
}

/** Chunks that lie one after the other; each that is not as it should be is told. */
async function verifyRun(check: PackCheck, run: readonly Location[]): Promise<void> {
  check.signal?.throwIfAborted();
  try {
    await check.reader.chunks.checkRange(run, check.recovery);
  } catch (error) {
    const [first] = run;
    if (run.length === 1)
      check.findings.addError(error, {key: packKey(first!.pack), pack: first!.pack, chunk: first!.id});
    else if (!isDamage(error)) throw error;
    // Which ones? Each by itself.
    else for (const chunk of run) await verifyRun(check, [chunk]);
  }
}

/** Chunks that lie one after the other, cut where one read would get too large. */
function* runs<Chunk extends Pick<Entry, 'offset' | 'storedBytes'>>(
  chunks: readonly Chunk[],
): Iterable<readonly Chunk[]> {
  let run: Chunk[] = [];
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
