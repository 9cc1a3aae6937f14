import {BkpError} from '../../errors/index.ts';
import type {Store} from '../../stores/index.ts';
import type {LeaseSubject} from '../types.ts';
import {type LeaseMode, leaseTtlMs} from './content.ts';
import {Lease, type LeaseDeps} from './lease.ts';
import {type Leases, listLeases} from './objects.ts';
import {LeaseWatch, type OtherLease} from './watch.ts';

/** Between two looks at the others: short at first, because most work on a local vault is short. */
const pollMs = {first: 50, most: 1000};

export type AcquireOptions = {
  mode: LeaseMode;
  subject: LeaseSubject;
  /** How long to wait for others that are certainly there. */
  waitMs: number;
  signal?: AbortSignal | undefined;
};

/**
 * What a lease that somebody has means for the one we want:
 * `yield`: take ours back and wait; `wait`: keep ours and wait; `fail`: give up now.
 */
type Verdict = 'none' | 'wait' | 'yield' | 'fail';

/**
 * A lease that nobody else's contradicts. First ours is written, then the others are looked for: of two that begin at the same
 * time at least one sees the other. The rules stand in docs/format.md.
 * @param firstListing a listing that shows the leases; it may show more, for what the caller does next
 * @returns `found`: what the first look showed; absent when it is too old: another lease had to be waited for, or was ended
 * @throws BkpError `VAULT_LOCKED` naming who is in the way
 */
export async function acquireLease<Found extends {leases: Leases}>(
  deps: LeaseDeps,
  options: AcquireOptions,
  firstListing: () => Promise<Found>,
): Promise<{lease: Lease; found?: Found}> {
  const {mode, subject, waitMs, signal} = options;
  const watch = new LeaseWatch(deps, {sweeps: mode === 'collector'});
  const startedAtMs = deps.clock.monotonicMs();
  let pauseMs = pollMs.first;
  signal?.throwIfAborted();
  // A look before it would cost a request, and could not spare the look after it.
  let lease: Lease | undefined = await Lease.write(deps, mode, subject);
  try {
    const found = await lease.observe(firstListing);
    let leases: Leases | undefined = found.leases;
    while (true) {
      signal?.throwIfAborted();
      const isFirst = leases !== undefined;
      leases ??= await nextListing(deps.store, lease);
      const {verdict, other} = worst(await watch.living(leases, lease?.id), options, lease?.id);
      leases = undefined;
      if (other === undefined) {
        if (lease === undefined) {
          lease = await Lease.write(deps, mode, subject);
          continue;
        }
        await lease.markHeld();
        const held = lease;
        lease = undefined;
        // A holder that was not dead may have gone on until its lease was ended, which was after the look.
        return isFirst && !watch.hasEndedLease ? {lease: held, found} : {lease: held};
      }
      // One that may be dead is watched until that is known, which its TTL bounds.
      const boundMs = other.isCertain ? waitMs : Math.max(waitMs, 2 * leaseTtlMs);
      if (verdict === 'fail' || deps.clock.monotonicMs() - startedAtMs >= boundMs) throw locked(other);
      if (verdict === 'yield') {
        await lease?.release();
        lease = undefined;
      }
      await deps.clock.sleep(pauseMs, signal);
      pauseMs = Math.min(pollMs.most, pauseMs * 2);
    }
  } finally {
    // Only when we leave without it: by an error, or told to stop.
    await lease?.release();
  }
}

async function nextListing(store: Store, lease: Lease | undefined): Promise<Leases> {
  const list = async () => ({leases: await listLeases(store)});
  return (lease === undefined ? await list() : await lease.observe(list)).leases;
}

const severity: Record<Verdict, number> = {none: 0, wait: 1, yield: 2, fail: 3};

function worst(others: readonly OtherLease[], options: AcquireOptions, ownId: string | undefined) {
  let result: {verdict: Verdict; other?: OtherLease} = {verdict: 'none'};
  for (const other of others) {
    const verdict = options.mode === 'writer' ? forWriter(other, options, ownId) : forCollector(other, ownId);
    if (severity[verdict] > severity[result.verdict]) result = {verdict, other};
  }
  return result;
}

function forWriter({content, id, isCertain}: OtherLease, {subject}: AcquireOptions, ownId?: string): Verdict {
  if (content === undefined || content.mode === 'collector') return 'yield';
  if (subject.subject === undefined || content.subject !== subject.subject) return 'none';
  if (!isCertain) return 'wait';
  // Both are acquiring: the lower id goes on, once the other is seen to be gone.
  if (content.state === 'acquiring' && ownId !== undefined && ownId < id) return 'wait';
  return 'fail';
}

function forCollector({content, id}: OtherLease, ownId?: string): Verdict {
  if (content === undefined || content.mode === 'collector')
    return ownId === undefined || id < ownId ? 'yield' : 'wait';
  return ownId === undefined ? 'none' : 'wait';
}

function locked({id, content}: OtherLease): BkpError {
  const holder =
    content === undefined
      ? `lease locks/${id}, which cannot be read`
      : `${content.purpose} (process ${content.host.pid} on ${content.host.name}, since ${content.since})`;
  return new BkpError('VAULT_LOCKED', `the vault is locked by ${holder}`, {
    cause: `locks/${id} exists`,
    next: 'wait for it to end, or look at it with: bkp operation list',
    context: {lock: id, ...(content === undefined ? {} : {pid: content.host.pid, host: content.host.name})},
    retryable: true,
  });
}
