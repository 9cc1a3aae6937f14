import {beforeEach, describe, expect, test} from 'vitest';
import {type Store, wrapStore} from '../../../src/stores/index.ts';
import {LeaseRow} from '../../../src/vault/index.ts';
import {firstContent} from '../../../src/vault/lease/content.ts';
import {Lease} from '../../../src/vault/lease/lease.ts';
import {releasedKey} from '../../../src/vault/lease/objects.ts';
import {lostBy, removedByOthers} from '../../../src/vault/lease/row.ts';
import {fakeClock, fakeHost, keysOf, newStore} from '../helpers.ts';

// What a holder knows of its own row, each rule alone: in whole backups, a later check would find most of it.

const id = 'a'.repeat(32);
const ttlMs = 120_000;
const renewMs = ttlMs / 5;

/** A clock whose timer fires only when the test says so, as in a process that is stopped now and then. */
function stoppedClock() {
  const clock = fakeClock();
  let work = () => {};
  const every = (_: number, what: () => void) => {
    work = what;
    return () => {};
  };
  return {...clock, every, tick: () => work()};
}

let clock: ReturnType<typeof stoppedClock>;
let memory: Store;
/** The requests of the holder. */
let sent: string[];
let store: Store;

beforeEach(() => {
  clock = stoppedClock();
  memory = newStore();
  sent = [];
  store = wrapStore(memory, {
    put: (key, body, options) => {
      sent.push(`put ${key.split('/').at(-1)}`);
      return memory.put(key, body, options);
    },
    list: (prefix, options) => {
      sent.push('list');
      return memory.list(prefix, options);
    },
    delete: (keys) => {
      sent.push('delete');
      return memory.delete(keys);
    },
  });
});

const newRow = () => {
  const content = firstContent('writer', {purpose: 'a test'}, {host: fakeHost(1), wallMs: 0, ttlMs});
  return LeaseRow.write({store, clock}, id, content);
};

/** Lets the timer fire, and its work end. */
async function tick(row: LeaseRow): Promise<void> {
  clock.tick();
  // In turn with the work of the timer.
  await row.state({young: true}).catch(() => {});
}

describe('a renewal by the timer', () => {
  test('finds that another process removed an object of the row', async () => {
    const row = await newRow();
    await memory.delete(await keysOf(memory, 'locks/'));
    clock.advance(renewMs);
    await tick(row);
    expect((await row.state()).lost).toBe(removedByOthers);
  });

  test('finds that another process ended the lease, which may not remove objects', async () => {
    const row = await newRow();
    await memory.put(releasedKey(id), new Uint8Array());
    clock.advance(renewMs);
    await tick(row);
    expect((await row.state()).lost).toBe(removedByOthers);
  });

  test('sends nothing once the lease is lost', async () => {
    const row = await newRow();
    clock.advance(ttlMs);
    sent = [];
    await tick(row);
    expect(sent).toEqual([]);
    expect((await row.state()).lost).toContain('could not be renewed');
  });

  test('removes no old object of a row that is lost: others have seen them', async () => {
    const row = await newRow();
    for (let n = 0; n < 15; n++) {
      clock.advance(renewMs);
      await tick(row);
    }
    const keys = await keysOf(memory, 'locks/');
    expect(keys).toHaveLength(16);
    await memory.delete(keys.slice(0, 1));
    sent = [];
    clock.advance(renewMs);
    await tick(row);
    expect(sent).toEqual(['put 00000016', 'list']);
  });

  test('counts from before its put, which others may have seen at once', async () => {
    const row = await newRow();
    clock.advance(40_000);
    const put = memory.put;
    memory.put = (key, body, options) => {
      clock.advance(50_000);
      return put(key, body, options);
    };
    await tick(row);
    memory.put = put;
    clock.advance(45_000);
    expect(lostBy(await row.state(), clock)).toContain('could not be renewed for 95 s');
  });

  test('never uses the number of a put that failed: it may still arrive', async () => {
    const row = await newRow();
    const put = memory.put;
    memory.put = async () => {
      throw new Error('no reply');
    };
    clock.advance(renewMs);
    await tick(row);
    memory.put = put;
    clock.advance(renewMs);
    await tick(row);
    const puts = sent.filter((request) => request.startsWith('put'));
    expect(puts.length).toBeGreaterThan(2);
    expect(new Set(puts).size).toBe(puts.length);
    // What arrives late is removed with the row.
    expect((await row.state()).mine).toHaveLength(puts.length);
  });
});

describe('a holder', () => {
  const deps = () => ({store, clock, host: fakeHost(1), randomId: () => id});
  const newLease = () => Lease.write(deps(), 'writer', {purpose: 'a test'});
  const lost = {code: 'VAULT_LOCKED'};

  test('asks the store nothing about a lease that its own clock says is lost', async () => {
    const lease = await newLease();
    clock.advance(ttlMs);
    sent = [];
    await expect(lease.confirm()).rejects.toMatchObject(lost);
    await expect(lease.observe(async () => ({leases: new Map()}))).rejects.toMatchObject(lost);
    expect(sent).toEqual([]);
  });

  test('stops at the first listing that does not show its lease', async () => {
    const lease = await newLease();
    await lease.confirm();
    await memory.delete(await keysOf(memory, 'locks/'));
    await expect(lease.confirm()).rejects.toMatchObject(lost);
  });

  test('renews before it confirms, so that what is confirmed holds for half of the time', async () => {
    const lease = await newLease();
    clock.advance(ttlMs / 3);
    await lease.confirm();
    clock.advance(ttlMs / 2);
    await lease.observe(async () => ({
      leases: new Map([[id, {id, renewals: await keysOf(memory, 'locks/'), isReleased: false}]]),
    }));
  });

  test('does not hold a lease that took too long to be marked as held', async () => {
    const lease = await newLease();
    const put = memory.put;
    memory.put = (key, body, options) => {
      clock.advance(100_000);
      return put(key, body, options);
    };
    await expect(lease.markHeld()).rejects.toMatchObject(lost);
  });
});
