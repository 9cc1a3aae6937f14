import {mkdirSync, readFileSync, utimesSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {describe, expect, test} from 'vitest';
import type {CheckpointSource} from '../../../src/sources/index.ts';
import {openQuestDbSource, type Processes} from '../../../src/sources/questdb/index.ts';
import type {ExecStandIn} from './exec-stand-in.ts';
import {withStandInRoot} from './stand-in-root.ts';

let folder: string;
let root: string;
let server: ExecStandIn;
withStandInRoot((place) => {
  ({folder, root, server} = place);
});

type Fate = ReturnType<Processes['fateOf']>;

/** A source opened by a process with this pid, on a machine where other processes have these fates. */
function home(pid: number, fates: Record<number, Fate> = {}) {
  const processes: Processes = {
    self: () => ({pid, startedAt: '1', boot: 'boot', space: 'space'}),
    fateOf: (process) => fates[process.pid] ?? 'alive',
  };
  return openQuestDbSource({root, http: server.url}, processes);
}

const notices: string[] = [];
const options = (hold: string) => ({
  hold,
  signal: new AbortController().signal,
  notice: (text: string) => void notices.push(text),
  nowMicros: () => Date.now() * 1000,
});
const note = () => JSON.parse(readFileSync(join(root, '.bkp-checkpoint'), 'utf8'));

describe('a checkpoint that a process of another home holds', () => {
  test('is reported as dead and released by the next backup when that process has ended', async () => {
    for (const fate of ['gone', 'replaced', 'rebooted'] as const) {
      await home(1).freeze(options('dbbackup/1'));
      const other = home(2, {1: fate});
      expect(await other.heldCheckpoint()).toMatchObject({hold: 'dbbackup/1', fate: 'dead'});
      const frozen = await other.freeze(options('dbbackup/9'));
      expect(notices.pop()).toContain('dbbackup/1 left held was released');
      expect(note()).toMatchObject({hold: 'dbbackup/9', holder: {pid: 2}});
      await frozen.release();
      expect(server.held).toBeUndefined();
    }
  });

  test('is released by releaseDead() only when that process has ended', async () => {
    await home(1).freeze(options('dbbackup/1'));
    expect(await home(2).releaseDead()).toBeUndefined();
    expect(server.held).toBeDefined();
    expect(await home(2, {1: 'gone'}).releaseDead()).toBe('dbbackup/1');
    expect(server.held).toBeUndefined();
    expect(await home(2, {1: 'gone'}).releaseDead()).toBeUndefined();
  });

  test('stays while that process runs, or may run', async () => {
    const frozen = await home(1).freeze(options('dbbackup/1'));
    const refusal = {code: 'SOURCE_LOCKED', cause: expect.stringContaining('operation dbbackup/1 of bkp created it')};
    await expect(home(2).freeze(options('dbbackup/9'))).rejects.toMatchObject(refusal);
    await expect(home(2, {1: 'unseen'}).freeze(options('dbbackup/9'))).rejects.toMatchObject(refusal);
    // This host cannot find out whether another host was restarted.
    const elsewhere = {...note(), holder: {...note().holder, host: 'another-host'}};
    writeFileSync(join(root, '.bkp-checkpoint'), JSON.stringify(elsewhere));
    await expect(home(2, {1: 'rebooted'}).freeze(options('dbbackup/9'))).rejects.toMatchObject({
      ...refusal,
      cause: expect.stringContaining('on another-host'),
    });
    expect(await home(2, {1: 'rebooted'}).heldCheckpoint()).toMatchObject({fate: 'unknown', host: 'another-host'});
    await frozen.confirm();
    await frozen.release();
  });

  test('is not released by releaseLeftover() for a dead operation of this home with the same name', async () => {
    const diedAfterMicros = Date.now() * 1000 - 60_000_000;
    // Both homes number their operations from 1.
    const frozen = await home(1).freeze(options('dbbackup/1'));
    await home(2).releaseLeftover(diedAfterMicros, 'dbbackup/1');
    await frozen.confirm();
    await home(2, {1: 'unseen'}).releaseLeftover(diedAfterMicros, 'dbbackup/2');
    await frozen.confirm();
    await home(2, {1: 'gone'}).releaseLeftover(diedAfterMicros, 'dbbackup/1');
    expect(server.held).toBeUndefined();
  });
});

test('a checkpoint of another program is not released after a pause, on the strength of an old answer', async () => {
  const frozen = await home(1).freeze(options('dbbackup/1'));
  await frozen.confirm();
  server.beforeStatus = async () => {
    server.beforeStatus = async () => {};
    // Paused, while the server is restarted and another program creates a checkpoint.
    server.held = server.held! + 5_000_000;
    await pause(1100);
  };
  await frozen.release();
  expect(server.statements).not.toContain('CHECKPOINT RELEASE');
  expect(server.held).toBeDefined();
});

describe('a checkpoint for other programs', () => {
  test('is created and released as by the server', async () => {
    await home(1).createCheckpoint();
    expect(server.held).toBeDefined();
    await expect(home(1).createCheckpoint()).rejects.toMatchObject({code: 'SOURCE_LOCKED'});
    await home(1).releaseCheckpoint();
    expect(server.held).toBeUndefined();
    await home(1).releaseCheckpoint();
  });

  test('cannot be released while a backup is running under it', async () => {
    const frozen = await home(1).freeze(options('dbbackup/1'));
    await expect(home(2).releaseCheckpoint()).rejects.toMatchObject({
      code: 'SOURCE_LOCKED',
      next: expect.stringContaining('BACKUP ABORT'),
    });
    await frozen.confirm();
    await home(2, {1: 'unseen'}).releaseCheckpoint();
    expect(server.held).toBeUndefined();
  });
});

const complaints = async (source: CheckpointSource) =>
  (await source.inspect()).filter(({ok}) => !ok).map(({detail}) => detail);

describe('a server', () => {
  test('that is read-only is reported as read-only, not as one that rejects the credentials', async () => {
    server.isReadOnly = true;
    await expect(home(1).freeze(options('dbbackup/1'))).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      message: expect.stringContaining('does not create a checkpoint: Write permission denied'),
      next: expect.stringContaining('http.security.readonly'),
    });
    expect(await complaints(home(1))).toEqual([expect.stringContaining('http.security.readonly is true')]);
  });

  test('of another root is reported by inspect()', async () => {
    expect(await complaints(home(1))).toEqual([]);
    const other = join(folder, 'other');
    for (const path of [other, root]) mkdirSync(join(path, 'db'), {recursive: true});
    server.ownRoot = other;
    expect(await complaints(home(1))).toEqual([expect.stringContaining(`the server's own root is ${other}`)]);
    server.ownRoot = root;
    expect(await complaints(home(1))).toEqual([]);
    // A path inside a container does not exist here.
    server.ownRoot = '/var/lib/questdb-of-a-container';
    server.tables = [{name: 'trades', directoryName: 'trades~4'}];
    expect(await complaints(home(1))).toEqual([]);
    server.tables = [{name: 'orders', directoryName: 'orders~9'}];
    expect(await complaints(home(1))).toEqual([expect.stringContaining('a table orders')]);
    server.tables = [{name: 'trades', directoryName: 'trades~4', sequencerTxn: 1_000_000}];
    expect(await complaints(home(1))).toEqual([expect.stringContaining('table trades has 1000000 transactions')]);
  });

  test('with many tables is asked four times at most', async () => {
    server.tables = Array.from({length: 50}, (_, n) => ({name: `t${n}`, directoryName: `t${n}~${n}`}));
    for (const {directoryName} of server.tables.slice(1)) mkdirSync(join(root, 'db', directoryName));
    expect(await complaints(home(1))).toEqual([expect.stringContaining('a table t0, and the root has no db/t0~0')]);
    const asked = server.statements.filter((statement) => statement.includes('tables()'));
    expect(asked).toHaveLength(2);
  });

  test('of a root that has the checkpoint of another server is refused', async () => {
    server.writesCheckpoint = false;
    for (const seconds of [-60, 60]) {
      const at = new Date(Date.now() + seconds * 1000);
      utimesSync(join(root, '.checkpoint/db/_checkpoint_meta.d'), at, at);
      await expect(home(1).freeze(options('dbbackup/1'))).rejects.toMatchObject({
        code: 'SOURCE_UNAVAILABLE',
        message: expect.stringContaining('is not the root of the QuestDB'),
        cause: expect.stringMatching(/the checkpoint in .* is of 20\d\d-.*Z, and the server created one from 20/),
      });
      expect(server.held).toBeUndefined();
    }
  });
});
