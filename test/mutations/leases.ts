import type {Mutant} from './mutant.ts';

const lease = 'src/vault/lease/lease.ts';
const row = 'src/vault/lease/row.ts';
const watch = 'src/vault/lease/watch.ts';
const acquire = 'src/vault/lease/acquire.ts';
const rows = 'test/vault/lease/row.test.ts';
const leases = 'test/vault/lease/lease.test.ts';

const noteKey = 'this.#change({content, mine: [...this.#state.mine, key]});';
const putKey = 'await this.#deps.store.put(key, encodeLease(content), {ifAbsent: true});';

/** What a holder may rely on, and what others may do to it. */
export const leaseMutants: readonly Mutant[] = [
  {
    name: 'lease: one that was marked as ended is intact',
    file: row,
    from: '!found.isReleased && ',
    to: '',
    killedBy: [rows, 'finds that another process ended the lease, which may not remove objects'],
  },
  {
    name: 'lease: a row without its objects is intact',
    file: row,
    from: 'witnesses.every((key) => found.renewals.includes(key))',
    to: '(witnesses, true)',
    killedBy: [rows, 'finds that another process removed an object of the row'],
  },
  {
    name: 'lease: it never gets too old by the own clock',
    file: row,
    from: 'return ageMs > state.content.ttlMs * lostPart',
    to: 'return ageMs < 0',
    killedBy: [leases, 'commits nothing after too long without a renewal, even if no other process noticed'],
  },
  {
    name: 'lease: a listing that does not show it is no sign',
    file: lease,
    from: 'if (!isIntact(witnesses, found.leases.get(this.id))) this.#lost ??= removedByOthers;',
    to: 'void [isIntact, removedByOthers, witnesses];',
    killedBy: [leases, 'commits nothing after its lease was removed'],
  },
  {
    name: 'lease: a renewal does not look whether the row is complete',
    file: row,
    from: 'if (!isIntact(this.#state.witnesses, found)) this.#change({lost: removedByOthers});',
    to: 'void found;',
    killedBy: [rows, 'finds that another process removed an object of the row'],
  },
  {
    name: 'lease: a lost one is renewed',
    file: row,
    from: 'if (this.#isLost()) return;\n    const renewedAtMs',
    to: 'const renewedAtMs',
    killedBy: [leases, 'commits nothing after too long without a renewal, even if no other process noticed'],
  },
  {
    name: 'lease: the timer asks about a lost one',
    file: row,
    from: 'if (this.#stopped || this.#isLost()) return;',
    to: 'if (this.#stopped) return;',
    killedBy: [rows, 'sends nothing once the lease is lost'],
  },
  {
    name: 'lease: objects that were put or removed during a slow listing are missed',
    file: lease,
    from: 'before.witnesses.filter((key) => after.witnesses.includes(key))',
    to: 'after.witnesses',
    killedBy: [leases, 'is confirmed by a slow listing during which its objects were put and removed'],
  },
  {
    name: 'lease: what a listing showed has no consequence',
    file: lease,
    from: 'this.#require(after);\n    this.#newest',
    to: 'this.#newest',
    killedBy: [rows, 'stops at the first listing that does not show its lease'],
  },
  {
    name: 'lease: a lost one is asked about',
    file: lease,
    from: 'this.#require(state);\n    return state;',
    to: 'return state;',
    killedBy: [rows, 'asks the store nothing about a lease that its own clock says is lost'],
  },
  {
    name: 'lease: an old one is confirmed without a renewal',
    file: lease,
    from: 'this.#known({young: true})',
    to: 'this.#known()',
    killedBy: [rows, 'renews before it confirms, so that what is confirmed holds for half of the time'],
  },
  {
    name: 'lease: marked as held too late, it is held',
    file: lease,
    from: 'await this.#own.markHeld();\n    this.#require(await this.#own.state());',
    to: 'await this.#own.markHeld();',
    killedBy: [rows, 'does not hold a lease that took too long to be marked as held'],
  },
  {
    name: 'lease: a renewal counts from after its put',
    file: row,
    from: 'this.#change({witnesses: [...this.#state.witnesses, key], renewedAtMs});',
    to:
      'const witnesses = [...this.#state.witnesses, key]; void renewedAtMs;\n' +
      'this.#change({witnesses, renewedAtMs: this.#deps.clock.monotonicMs()});',
    killedBy: [rows, 'counts from before its put, which others may have seen at once'],
  },
  {
    name: 'lease: the number of a put that failed is used again',
    file: row,
    from: `${noteKey}\n    ${putKey}`,
    to: `${putKey}\n    ${noteKey}`,
    killedBy: [rows, 'never uses the number of a put that failed: it may still arrive'],
  },
  {
    name: 'lease: old objects count as witnesses while they are removed',
    file: row,
    from: 'this.#change({witnesses: witnesses.slice(-renewalsKept)});',
    to: 'void witnesses;',
    killedBy: [leases, 'grows without overwriting, and old objects are removed'],
  },
  {
    name: 'lease: a lost row is tidied up',
    file: row,
    from: 'if (!this.#isLost()) await this.#removeOld();',
    to: 'await this.#removeOld();',
    killedBy: [rows, 'removes no old object of a row that is lost: others have seen them'],
  },
  {
    name: 'others: a dead lease is not ended before it is ignored',
    file: watch,
    from: 'await this.#remove(dead);',
    to: 'void [dead, this.#remove];',
    killedBy: [leases, 'commits nothing after its lease was removed'],
  },
  {
    name: 'others: a lease that may not be removed is not marked',
    file: watch,
    from: 'if (single === undefined) await markReleased(store, id);',
    to: 'if (single === undefined) void [markReleased, id];',
    killedBy: [leases, 'a dead lease is marked as released, and a holder that is alive notices'],
  },
  {
    name: 'others: a renewal does not begin a new TTL',
    file: watch,
    from: 'const isSame = before?.mark === mark;',
    to: 'const isSame = before !== undefined;',
    killedBy: [leases, 'stays while it is renewed, even if the wall clock of its machine is wrong'],
  },
  {
    name: 'others: each try begins to watch',
    file: watch,
    from: 'this.#seen = deps.memory ?? new Map();',
    to: 'this.#seen = new Map();',
    killedBy: [
      'test/backups/wait-for-collector.test.ts',
      'the lease of a stopped process ends also while another backup goes on beside it',
    ],
  },
  {
    name: 'others: a stopped process of this machine is waited for',
    file: watch,
    from: ' && this.#agedParts(seen) < doubtfulPart;',
    to: ' && this.#agedParts(seen) < 1 / doubtfulPart;',
    killedBy: [leases, 'of a stopped process of this machine ends after a TTL without a change'],
  },
  {
    name: 'others: a listing from before a lease was ended is used',
    file: acquire,
    from: 'isFirst && !watch.hasEndedLease ? ',
    to: 'isFirst ? ',
    killedBy: [leases, 'makes what was listed before it ended out of date'],
  },
  {
    name: 'others: an ended lease loses its mark first',
    file: watch,
    from: 'const removed = await removeIfAllowed(store, released.flatMap(objectsOf));',
    to:
      'const marks = released.map(({id}) => releasedKey(id));\n' +
      'await removeIfAllowed(store, marks);\n' +
      'const removed = await removeIfAllowed(store, released.flatMap(objectsOf));',
    killedBy: [leases, 'a released lease whose removal is interrupted has still ended'],
  },
  {
    name: 'others: a writer begins beside a collector',
    file: acquire,
    from: "if (content === undefined || content.mode === 'collector') return 'yield';",
    to: "if (content === undefined) return 'yield';",
    killedBy: [leases, 'a writer waits until a collector has ended'],
  },
  {
    name: 'others: a collector begins beside a writer',
    file: acquire,
    from: "return ownId === undefined ? 'none' : 'wait';",
    to: "return 'none';",
    killedBy: [leases, 'a collector waits for writers for a limited time, then names the one that blocks it'],
  },
];
