import {BkpError} from '../../errors/index.ts';
import type {Clock} from '../../lib/clock.ts';
import type {Store} from '../../stores/index.ts';
import {damagedPackKey, packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import {noteDamage} from '../indexes/damage-notes.ts';
import {coverageOf} from '../ledger/coverage.ts';
import {Recorder} from '../ledger/recorder.ts';
import {type LedgerDeps, StoredLedger} from '../ledger/stored-ledger.ts';
import {Closure} from '../read/closure.ts';
import {Recovery} from '../read/recovery.ts';
import type {StreamReader} from '../read/stream-reader.ts';
import type {ChunkId, PackId, Recipe, Verification, VerifyOptions} from '../types.ts';
import {Findings, lost, unneededDamage} from './findings.ts';
import type {PackCheck} from './pack-check.ts';
import {verifyIndexes} from './verify-indexes.ts';
import {type PacksRead, verifyPacks} from './verify-packs.ts';

export type VerifyDeps = Pick<LedgerDeps, 'randomId'> & {
  clock: Clock;
  store: Store;
  index: ChunkIndex;
  reader: StreamReader;
  /** Bytes read from the store so far. */
  readBytes: () => number;
};

/** See `VaultReader.verify`. */
export async function verify(
  {store, index, reader, clock, randomId, readBytes}: VerifyDeps,
  recipes: readonly Recipe[],
  options: VerifyOptions,
): Promise<Verification> {
  const {level, budget, signal} = options;
  const [startBytes, startMs] = [readBytes(), clock.monotonicMs()];
  const findings = new Findings();
  // Nothing that a restore needs is in an index alone, so a budget is not spent on them.
  const harmless = budget === undefined ? await verifyIndexes({store, index}, signal) : new Findings();
  const inStore = await index.apply(await index.observe());
  const closure = new Closure(index, reader);
  try {
    let areListsRead = true;
    const onFault = (error: unknown) => {
      areListsRead = false;
      addUnlessMissing(error);
    };
    for (const recipe of recipes) await closure.addStream(recipe, onFault, signal);
    // Of indexes, and of packs that no index lists.
    for (const fault of index.faults.values()) harmless.add(fault);
    const {fault} = index.removals();
    if (fault !== undefined) findings.addError(fault);
    for (const id of closure.missing) findings.add(lost(index, id));
    const packs = closure.packs();
    const unlisted = index.unlistedPacks().filter((pack) => packs.has(pack));
    // An unreadable index, or an unreadable pack that no index lists, does no harm if all that is needed is elsewhere:
    // a damaged pack stays for a time after its chunks were written again.
    const isHarmful = unlisted.length + closure.missing.size > 0;
    if (isHarmful) for (const fault of harmless.all()) findings.add(fault);
    for (const fault of unneededDamage(index, inStore, packs)) harmless.add(fault);
    for (const pack of unlisted) {
      findings.add({what: 'missing', key: packKey(pack), pack, detail: `no index lists pack ${pack}, which is needed`});
    }
    const check: PackCheck = {store, index, reader, recovery: new Recovery(index), findings, level, signal};
    const stored = await StoredLedger.read({store, clock, randomId});
    const recorder = new Recorder(stored, {clock, exists: (pack) => inStore.has(pack)});
    const left = {
      bytes: budget?.bytes && budget.bytes - (readBytes() - startBytes),
      untilMs: budget?.ms && startMs + budget.ms,
    };
    let read: PacksRead;
    try {
      read = await verifyPacks(
        {...check, closure, inStore, clock},
        {...options, left, ledger: stored.ledger, recorder},
      );
    } finally {
      await recorder.flush();
    }
    await noteFindings(store, findings, index.distrustedPacks());
    const damaged = findings.damagedPacks();
    if (level === 'data') await index.clearDamage([...read].filter((pack) => !damaged.has(pack)));
    const coverage = coverageOf(closure, stored.ledger, (pack) => !damaged.has(pack) && !index.isDistrusted(pack));
    const {fault: unrecorded} = recorder;
    return {
      findings: findings.all(),
      harmless: harmless.all().filter(({key}) => !findings.all().some((finding) => finding.key === key)),
      readBytes: readBytes() - startBytes,
      coverage,
      unreliable: unreliableIn(closure, findings),
      areListsRead,
      ...(unrecorded === undefined ? {} : {unrecorded}),
    };
  } finally {
    closure.close();
  }

  /** A missing chunk of a list is reported with all other missing chunks. */
  function addUnlessMissing(error: unknown): void {
    const chunk = error instanceof BkpError ? error.context.chunk : undefined;
    if (!(typeof chunk === 'string' && closure.missing.has(chunk as ChunkId))) findings.addError(error);
  }
}

/** The needed chunks of packs with findings, and those that are nowhere. Some may be in another, reliable pack too. */
function unreliableIn(closure: Closure, findings: Findings): readonly ChunkId[] {
  const packs = new Set(findings.all().flatMap(({pack}) => pack ?? []));
  return [...closure.missing, ...[...packs].flatMap((pack) => closure.chunksOf(pack).map(({id}) => id))];
}

/** Makes the next backup write again what is lost, instead of relying on it. */
async function noteFindings(store: Store, findings: Findings, noted: ReadonlySet<PackId>): Promise<void> {
  for (const pack of findings.damagedPacks()) {
    if (noted.has(pack)) continue;
    try {
      await noteDamage(store, pack);
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      const detail =
        `pack ${pack} is damaged, and that could not be noted in the store, ` +
        `so the next backup may rely on it. ${error.message}`;
      findings.add({what: 'damaged', key: damagedPackKey(pack), detail});
    }
  }
}
