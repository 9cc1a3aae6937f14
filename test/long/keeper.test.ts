import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {Worker} from 'node:worker_threads';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {Keeper} from '../../src/app/keeper/keeper.ts';
import {openRealDeps} from '../../src/compose.ts';
import {resolveHome} from '../../src/config/index.ts';
import {type Journal, type OperationNumber, runOperation, type Work} from '../../src/ops/index.ts';
import {openDirectoryStore} from '../../src/stores/index.ts';
import {openVault, type Vault} from '../../src/vault/index.ts';
import {bkpFile} from '../helpers/bkp.ts';
import {eventually} from '../helpers/eventually.ts';
import {aBackup, journalAt} from '../helpers/journal.ts';

let dir: string;
let journal: Journal;
let number: OperationNumber;
let close: () => void;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'bkp-keeper-'));
  journal = journalAt(dir);
  number = (await journal.create(aBackup())).number;
  close = () => journal.close();
});
afterEach(() => {
  close();
  rmSync(dir, {recursive: true, force: true, maxRetries: 20, retryDelay: 100});
});

/** Carries the operation out in this process, with the keeper's real thread or another one. */
async function run(
  work: (keeper: Keeper, context: Parameters<Work>[0]) => ReturnType<Work>,
  thread = realThread,
  startAfterMs?: number,
) {
  const startThread = await thread();
  let keeper: Keeper | undefined;
  await runOperation({
    journal,
    number,
    signals: {on: () => {}, off: () => {}},
    nowMicros: () => Date.now() * 1000,
    heartbeat: (from, operation, events) => {
      keeper = new Keeper({journal: from, operation, startThread, startAfterMs}, events);
      return keeper;
    },
    work: (context) => work(keeper!, context),
  });
  const {state} = await journal.get(number);
  if (state.name !== 'done') throw new Error('it has no end');
  return state.outcome;
}

async function realThread(): Promise<() => Worker> {
  const deps = await openRealDeps({color: false, home: dir}, () => {});
  const home = resolveHome({BKP_HOME: dir}, process.platform, dir);
  return () => deps.startKeeper!({number, home, entryFile: bkpFile});
}

const threadThatEnds = async () => () => new Worker('process.exit()', {eval: true});
const noThread = async () => () => {
  throw new Error('no thread was needed');
};

/** The last heartbeat, read without the event loop, which {@link callUntil} blocks. */
function heartbeat(): unknown {
  const db = new DatabaseSync(join(dir, 'journal.db'), {readOnly: true});
  try {
    return db.prepare('SELECT heartbeat_at_micros AS at FROM operation WHERE number = ?').get(number)?.at;
  } finally {
    db.close();
  }
}

/** One call of SQLite that lasts until `isSeen`; this thread does nothing else meanwhile. */
function callUntil(isSeen: () => boolean): void {
  const db = new DatabaseSync(':memory:');
  const waiting = new Int32Array(new SharedArrayBuffer(4));
  const until = performance.now() + 60_000;
  db.function('is_seen', () => {
    if (isSeen()) return 1;
    if (performance.now() > until) throw new Error('not seen within a minute');
    Atomics.wait(waiting, 0, 0, 20);
    return 0;
  });
  db.prepare(
    'WITH RECURSIVE look(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM look WHERE NOT is_seen()) ' +
      'SELECT count(*) FROM look',
  ).get();
  db.close();
}

/** Whether two heartbeats were written since it was made. */
function beatsTwice(): () => boolean {
  const seen = new Set([heartbeat()]);
  return () => seen.add(heartbeat()).size > 2;
}

/** How many objects the one lease has in the directory. */
function renewals(root: string): string[] {
  const locks = join(root, 'locks');
  const [lease] = readdirSync(locks);
  return readdirSync(join(locks, lease!)).sort();
}

const vaultAt = async (keeper: Keeper, root: string): Promise<Vault> =>
  openVault({
    store: await openDirectoryStore({root, create: true}),
    create: true,
    // Lost after three quarters of it, renewed every fifth.
    leaseTtlMs: 10_000,
    keepLeases: keeper.keepRow({kind: 'directory', root}, undefined),
  });

type Writer = Awaited<ReturnType<Vault['writer']>>;

/** Ends work whose lease still holds. */
async function endUnderLease(vault: Vault, writer: Writer) {
  expect(await writer.putDocument('.backups/collections/shop/definition/00000001', {})).toBe('written');
  await writer.close();
  vault.close();
  return {rows: 1};
}

function expectGoodEnd(outcome: unknown, root: string): void {
  expect(outcome).toEqual({status: 'SUCCESS', result: {rows: 1}});
  expect(existsSync(join(root, 'locks'))).toBe(false);
}

test('heartbeat and lease renewals continue while one call blocks the thread of the work', async () => {
  const root = join(dir, 'cluster');
  const outcome = await run(async (keeper, {progress}) => {
    // From here on the thread is up, however long a busy machine took to start it.
    keeper.start();
    callUntil(beatsTwice());
    const vault = await vaultAt(keeper, root);
    const writer = await vault.writer({purpose: 'long call', subject: 'collection shop'});
    progress({phase: 'Check', bytesDone: 7, itemsDone: 1});
    const first = renewals(root).at(-1)!;
    const beats = new Set<unknown>();
    // Without the last of these renewals it would be lost.
    callUntil(() => {
      beats.add(heartbeat());
      return beats.size > 3 && Number(renewals(root).at(-1)!) >= Number(first) + 4;
    });
    expect((await journal.get(number)).progress).toMatchObject({phase: 'Check', bytesDone: 7});
    return endUnderLease(vault, writer);
  });
  expectGoodEnd(outcome, root);
});

test('a throttle and a cancel of another process reach the work', async () => {
  const outcome = await run(async (_, {limits, signal}) => {
    expect(limits()).toBeUndefined();
    await journal.throttle(number, {change: {uploadBytesPerSecond: 5}, before: {}});
    await eventually(() => expect(limits()).toEqual({uploadBytesPerSecond: 5}));
    await journal.requestCancel(number);
    await eventually(() => expect(signal.aborted).toBe(true));
    signal.throwIfAborted();
    return {};
  });
  expect(outcome).toEqual({status: 'CANCELLED', result: {}});
});

test('the journal has the last figures, also of work that ended before the thread was up', async () => {
  await run(async (_, {progress}) => {
    for (let at = 0; at <= 1_000; at++) progress({phase: 'Commit', bytesDone: at, bytesTotal: 1_000, itemsDone: at});
    return {};
  });
  expect((await journal.get(number)).progress).toMatchObject({
    phase: 'Commit',
    bytesDone: 1_000,
    itemsDone: 1_000,
    percent: 100,
  });
});

test('short work starts no thread', async () => {
  const root = join(dir, 'cluster');
  const outcome = await run(async (keeper, {progress}) => {
    const vault = await vaultAt(keeper, root);
    const writer = await vault.writer({purpose: 'backup'});
    progress({phase: 'TransferData', bytesDone: 7, bytesTotal: 7, itemsDone: 1});
    await writer.close();
    vault.close();
    return {rows: 1};
  }, noThread);
  expect(outcome).toEqual({status: 'SUCCESS', result: {rows: 1}});
});

test('the first report after the time of short work starts the thread, also if no timer had a turn', async () => {
  let started = 0;
  const thread = async () => () => {
    started++;
    return new Worker('', {eval: true});
  };
  const work = async (_: Keeper, {progress}: Parameters<Work>[0]) => {
    const atOnce = started;
    // The timers of this thread have no turn.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    progress({phase: 'TransferData', bytesDone: 7, itemsDone: 1});
    expect([atOnce, started]).toEqual([0, 1]);
    return {};
  };
  await run(work, thread, 20);
});

test.each([
  ['the first index', {phase: 'Indexes', bytesDone: 1, itemsDone: 1}],
  ['much data', {phase: 'TransferData', bytesDone: 0, bytesTotal: 2 ** 30, itemsDone: 0}],
  ['many tables', {phase: 'Preparing', bytesDone: 0, itemsDone: 0, itemsTotal: 2000}],
])('before %s the thread is started, and it renews an existing lease', async (_, figures) => {
  const root = join(dir, 'cluster');
  const outcome = await run(async (keeper, {progress}) => {
    const vault = await vaultAt(keeper, root);
    const writer = await vault.writer({purpose: 'long call'});
    progress(figures);
    // This thread is busy: so it is the other one's heartbeat, and nothing that comes later here was needed for it.
    callUntil(beatsTwice());
    return endUnderLease(vault, writer);
  });
  expectGoodEnd(outcome, root);
});

test('when the thread ends too early, the thread of the work takes over', async () => {
  const root = join(dir, 'cluster');
  const outcome = await run(async (keeper, {progress, limits}) => {
    const vault = await vaultAt(keeper, root);
    const writer = await vault.writer({purpose: 'backup'});
    const first = renewals(root).at(-1)!;
    progress({phase: 'Check', bytesDone: 7, itemsDone: 1});
    await eventually(() => expect(Number(renewals(root).at(-1)!)).toBeGreaterThan(Number(first)));
    await journal.throttle(number, {change: {uploadBytesPerSecond: 5}, before: {}});
    await eventually(() => expect(limits()).toEqual({uploadBytesPerSecond: 5}));
    expect((await journal.get(number)).progress).toMatchObject({phase: 'Check', bytesDone: 7});
    return endUnderLease(vault, writer);
  }, threadThatEnds);
  expect(outcome).toEqual({status: 'SUCCESS', result: {rows: 1}});
  expect(readFileSync((await journal.get(number)).logFile, 'utf8')).toContain(
    'the thread that renews leases and writes heartbeats has ended',
  );
});
