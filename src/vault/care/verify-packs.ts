import {forEachConcurrent} from '../../lib/async.ts';
import type {Clock} from '../../lib/clock.ts';
import type {PacksInStore} from '../indexes/listing.ts';
import {hasItsName, leastRecentFirst, within} from '../ledger/budget.ts';
import type {Ledger, VerifiedPack} from '../ledger/ledger.ts';
import type {Recorder} from '../ledger/recorder.ts';
import type {Closure} from '../read/closure.ts';
import type {PackId, VerifyBudget, VerifyOptions} from '../types.ts';
import {addNotedDamage, type PackCheck} from './pack-check.ts';
import {verifyPack} from './verify-pack.ts';

/** Packs read concurrently, a few MiB of each in memory: enough to keep the disk and the processors busy. */
const packsAtOnce = 4;

/** The packs whose bytes were read. */
export type PacksRead = ReadonlySet<PackId>;

type Packs = PackCheck & {closure: Closure; inStore: PacksInStore; clock: Clock};

type PackOptions = Pick<VerifyOptions, 'budget' | 'progress'> & {
  /** What is left of the budget: `untilMs` on the monotonic clock. */
  left: Pick<VerifyBudget, 'bytes'> & {untilMs: number | undefined};
  ledger: Ledger;
  recorder: Recorder;
};

/** Checks the needed packs, or as many as the budget allows, and records those that are intact. */
export async function verifyPacks(
  packs: Packs,
  {budget, progress, left, ledger, recorder}: PackOptions,
): Promise<PacksRead> {
  const {closure, inStore, index, findings, signal, clock, level} = packs;
  const needed = closure.packs();
  const lengthOf = (pack: PackId) => inStore.get(pack)?.lengthBytes ?? 0;
  const chosen =
    budget === undefined
      ? [...needed.keys()]
      : within(
          leastRecentFirst(needed.keys(), {ledger, inStore, isDamaged: (pack) => index.isDistrusted(pack)}),
          left,
          lengthOf,
        );
  const bytesOf = (pack: PackId) => (budget === undefined ? needed.get(pack)! : lengthOf(pack));
  const bytesTotal = chosen.reduce((sum, pack) => sum + bytesOf(pack), 0);
  let bytesDone = 0;
  const read = new Set<PackId>();
  await forEachConcurrent(beforeTheEnd(chosen, left.untilMs, clock), packsAtOnce, async (pack) => {
    signal?.throwIfAborted();
    const begunMs = clock.wallMs();
    read.add(pack);
    const intact = budget === undefined ? await verifyNeeded(pack) : await verifyWhole(pack);
    if (level === 'data' && intact !== undefined && !findings.isAbout(pack)) await recorder.add(intact, begunMs);
    bytesDone += bytesOf(pack);
    progress?.(bytesDone, bytesTotal);
  });
  // A pack that was found damaged, and not read again now, is still a fault of all backups that need it.
  for (const pack of index.distrustedPacks()) {
    if (needed.has(pack) && !read.has(pack)) addNotedDamage(packs, pack, closure.chunksOf(pack));
  }
  return read;

  function verifyNeeded(pack: PackId): Promise<VerifiedPack | undefined> {
    return verifyPack(packs, pack, closure.chunksOf(pack));
  }

  /** If the pack is not what was written, finds out which chunks are at fault. */
  async function verifyWhole(pack: PackId): Promise<VerifiedPack | undefined> {
    if (await hasItsName(packs, pack, lengthOf(pack))) return {pack};
    return verifyNeeded(pack);
  }
}

function* beforeTheEnd(packs: readonly PackId[], untilMs: number | undefined, clock: Pick<Clock, 'monotonicMs'>) {
  for (const [at, pack] of packs.entries()) {
    if (at > 0 && untilMs !== undefined && clock.monotonicMs() >= untilMs) return;
    yield pack;
  }
}
