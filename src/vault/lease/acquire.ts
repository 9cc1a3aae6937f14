import {BkpError} from '../../errors/index.ts';
import type {Store} from '../../stores/index.ts';
import type {LeaseSubject} from '../types.ts';
import {type LeaseMode, leaseTtlMs} from './content.ts';
import {Lease, type LeaseDeps} from './lease.ts';
import {type Leases, listLeases} from './objects.ts';
import {LeaseWatch, type OtherLease} from './watch.ts';

/** Pause between two listings of the other leases: short at first, because most work on a local vault is short. */
const pollMs = {first: 50, most: 1000};

export type AcquireOptions = {
  mode: LeaseMode;
  subject: LeaseSubject;
  /** How long to wait for leases whose holders are known to be alive. */
  waitMs: number;
  /** Wait no longer for others either: the caller tries again, with the same memory of leases. Default false. */
  isOneTryOfMany?: boolean | undefined;
  signal?: AbortSignal | undefined;
};

/**
 * What another lease means for the one to be acquired: `none`: no conflict; `wait`: keep ours and wait;
 * `yield`: release ours and wait; `fail`: give up immediately.
 */
type Conflict = 'none' | 'wait' | 'yield' | 'fail';

/**
 * Acquires a lease that conflicts with no other one. It writes its own lease before it lists the others, so of
 * two processes that begin at the same time at least one sees the other. docs/format.md has the rules.
 * @param firstListing a listing that shows the leases; it may show more that the caller needs next
 * @returns `found`: the first listing; absent if it is out of date because another lease was waited for or
 *   ended
 * @throws BkpError `VAULT_LOCKED` naming the blocking lease
 */
export async function acquireLease<Found extends {leases: Leases}>(
  deps: LeaseDeps,
  options: AcquireOptions,
  firstListing: () => Promise<Found>,
): Promise<{lease: Lease; found?: Found}> {
  const {mode, subject, waitMs, isOneTryOfMany = false, signal} = options;
  const watch = new LeaseWatch(deps, {sweeps: mode === 'collector'});
  const startedAtMs = deps.clock.monotonicMs();
  let pauseMs = pollMs.first;
  signal?.throwIfAborted();
  // Listing before this write would cost a request, and the listing after it would still be necessary.
  let lease: Lease | undefined = await Lease.write(deps, mode, subject);
  try {
    const found = await lease.observe(firstListing);
    let leases: Leases | undefined = found.leases;
    while (true) {
      signal?.throwIfAborted();
      const isFirst = leases !== undefined;
      leases ??= await nextListing(deps.store, lease);
      const {conflict, other} = worst(await watch.living(leases, lease?.id), options, lease?.id);
      leases = undefined;
      if (other === undefined) {
        if (lease === undefined) {
          lease = await Lease.write(deps, mode, subject);
          continue;
        }
        await lease.markHeld();
        const held = lease;
        lease = undefined;
        // A holder that was alive after all may have changed the store until its lease was ended, after the listing.
        return isFirst && !watch.hasEndedLease ? {lease: held, found} : {lease: held};
      }
      // A lease whose holder may be dead is watched until that is known, which takes at most its TTL.
      const boundMs = other.isCertain || isOneTryOfMany ? waitMs : Math.max(waitMs, 2 * leaseTtlMs);
      if (conflict === 'fail' || deps.clock.monotonicMs() - startedAtMs >= boundMs) throw locked(other);
      if (conflict === 'yield') {
        await lease?.release();
        lease = undefined;
      }
      await deps.clock.sleep(pauseMs, signal);
      pauseMs = Math.min(pollMs.most, pauseMs * 2);
    }
  } finally {
    // Still set only after an error or a cancellation.
    await lease?.release();
  }
}

async function nextListing(store: Store, lease: Lease | undefined): Promise<Leases> {
  const list = async () => ({leases: await listLeases(store)});
  return (lease === undefined ? await list() : await lease.observe(list)).leases;
}

const severity: Record<Conflict, number> = {none: 0, wait: 1, yield: 2, fail: 3};

function worst(others: readonly OtherLease[], options: AcquireOptions, ownId: string | undefined) {
  let result: {conflict: Conflict; other?: OtherLease} = {conflict: 'none'};
  for (const other of others) {
    const conflict = options.mode === 'writer' ? forWriter(other, options, ownId) : forCollector(other, ownId);
    if (severity[conflict] > severity[result.conflict]) result = {conflict, other};
  }
  return result;
}

function forWriter({content, id, isCertain}: OtherLease, {subject}: AcquireOptions, ownId?: string): Conflict {
  if (content === undefined || content.mode === 'collector') return 'yield';
  if (subject.subject === undefined || content.subject !== subject.subject) return 'none';
  if (!isCertain) return 'wait';
  // Both are acquiring: the lower id continues as soon as the other one has been released.
  if (content.state === 'acquiring' && ownId !== undefined && ownId < id) return 'wait';
  return 'fail';
}

function forCollector({content, id}: OtherLease, ownId?: string): Conflict {
  if (content === undefined || content.mode === 'collector')
    return ownId === undefined || id < ownId ? 'yield' : 'wait';
  return ownId === undefined ? 'none' : 'wait';
}

function locked({id, content}: OtherLease): BkpError {
  const holder =
    content === undefined
      ? `lease locks/${id}, which cannot be read`
      : `${content.purpose} (process ${content.host.pid} on ${content.host.name}, since ${content.since})`;
  // Another home has a journal of its own.
  const where = content === undefined ? '' : `, on ${content.host.name} and in the home that it was started in`;
  return new BkpError('VAULT_LOCKED', `the vault is locked by ${holder}`, {
    cause: `locks/${id} exists`,
    next: `wait for it to end; bkp operation list shows it${where}`,
    context: {lock: id, ...(content === undefined ? {} : {pid: content.host.pid, host: content.host.name})},
    retryable: true,
  });
}
