import fs, {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import {syncBuiltinESMExports} from 'node:module';
import {dirname, join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {describe, expect, onTestFinished, test, vi} from 'vitest';
import type {Frozen, FrozenFile} from '../../../src/sources/index.ts';
import {emptyKeyFile} from '../../../src/sources/questdb/format/symbol-index.ts';
import {openQuestDbSource, openQuestDbTarget} from '../../../src/sources/questdb/index.ts';
import {recordsMappedWrites, settleMicros} from '../../../src/sources/questdb/listing/stamp.ts';
import {ExecStandIn} from './exec-stand-in.ts';
import {recordedBytes, recordedPaths, writeRecordedRoot} from './recorded-root.ts';
import {withStandInRoot} from './stand-in-root.ts';

let folder: string;
let root: string;
let server: ExecStandIn;
withStandInRoot((place) => {
  ({folder, root, server} = place);
});

const open = () => openQuestDbSource({root, http: server.url});
const options = {
  hold: 'operation test/1',
  signal: new AbortController().signal,
  notice: () => undefined,
  nowMicros: () => Date.now() * 1000,
};

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function withFrozen<T>(use: (frozen: Frozen) => Promise<T>): Promise<T> {
  const frozen = await open().freeze(options);
  try {
    return await use(frozen);
  } finally {
    await frozen.release();
  }
}

/**
 * Removes differences without a meaning: zeros at the end of an index or a log; in the header of an index, the number
 * of writes, and the largest row, which is one too large after late rows.
 */
function plain(path: string, bytes: Buffer): Buffer {
  if (!/(\.[kv](\.\d+)?|_txnlog)$/.test(path)) return bytes;
  const copy = Buffer.concat([bytes, Buffer.alloc(64)]);
  if (/\.k(\.\d+)?$/.test(path)) for (const at of [1, 29, 37]) copy.writeBigInt64LE(1n, at);
  return copy.subarray(0, copy.findLastIndex((byte) => byte !== 0) + 1);
}

/** A copy contains the server's bytes of a recorded file, but no entries in the index of a column's texts. */
function momentBytes(path: string): Buffer {
  const bytes = plain(path, recordedBytes(path));
  const isOfTexts = /^db\/[^/]+\/[^/]+\.[kv](\.\d+)?$/.test(path);
  if (!isOfTexts) return bytes;
  return /\.v(\.\d+)?$/.test(path) ? Buffer.alloc(0) : plain(path, emptyKeyFile(bytes.readInt32LE(17)));
}

const bytesOf = async (frozen: Frozen, file: FrozenFile) => Buffer.concat(await all(frozen.read(file)));

/** After this time a file is old enough to get a stamp. */
const settleMs = settleMicros / 1000 + 50;

/** A stopped server has the files of the checkpoint in its own folders. */
async function stopServer(): Promise<void> {
  for (const path of recordedPaths.filter((name) => /^\.checkpoint\/db\/[^/]+\/[^/]+$/.test(name))) {
    writeFileSync(join(root, path.replace('.checkpoint/', '')), readFileSync(join(root, path)));
  }
  await server.stop();
}

/** The registry of the server, with one table. */
function writeRegistry(name: string, folder: string): void {
  const text = (value: string) => {
    const length = Buffer.alloc(4);
    length.writeInt32LE(value.length);
    return Buffer.concat([length, Buffer.from(value, 'utf16le')]);
  };
  const entry = Buffer.concat([Buffer.alloc(12), text(name), text(folder), Buffer.alloc(8 + 64)]);
  entry.writeBigInt64LE(BigInt(entry.length));
  writeFileSync(join(root, 'db/tables.d.3'), entry);
}

test('the time of a backup is after the checkpoint was written, and before the machine was synced', async () => {
  server.syncMs = 400;
  await withFrozen(async ({takenAtMicros}) => {
    const writtenMicros = statSync(join(root, '.checkpoint/db/_checkpoint_meta.d')).mtimeMs * 1000;
    expect(takenAtMicros).toBeGreaterThan(writtenMicros);
    // Elsewhere, the clock of the file system may be another one.
    if (await recordsMappedWrites(root)) expect(takenAtMicros).toBeLessThan(writtenMicros + 200_000);
    else expect(takenAtMicros).toBeGreaterThan(writtenMicros + 350_000);
  });
});

describe('the files of a recorded root', () => {
  test('are the recorded files, truncated to what the rows need, sorted by path', async () => {
    await withFrozen(async (frozen) => {
      const files = await all(frozen.files());
      const paths = files.map(({path}) => path);
      expect(paths).toEqual([...recordedPaths, 'conf/server.conf'].sort());
      for (const file of files.filter(({optional}) => optional === undefined)) {
        expect({path: file.path, bytes: plain(file.path, await bytesOf(frozen, file))}).toEqual({
          path: file.path,
          bytes: momentBytes(file.path),
        });
      }
      expect(files.filter(({optional}) => optional).map(({path}) => path)).toEqual(['conf/server.conf']);
      expect(files.find(({path}) => path.endsWith('2024-01-03/id.d'))).toMatchObject({
        table: 'trades',
        zeroTailBytes: 0,
      });
      await frozen.confirm();
      expect(frozen.facts).toMatchObject({product: 'questdb', version: '9.3.4'});
      expect(frozen.facts.tables).toContainEqual({name: 'trades', rows: 66});
      expect(frozen.facts.tables).toContainEqual({name: 'flat', rows: 10});
      expect(frozen.facts.tables).toContainEqual({name: 'weekly', rows: 30});
    });
    expect(server.held).toBeUndefined();
  });

  test('are returned in blocks that do not share memory', async () => {
    await withFrozen(async (frozen) => {
      const bytes = Buffer.alloc(300_000, 7);
      writeFileSync(join(root, 'db/extra'), bytes);
      const file = (await all(frozen.files())).find(({path}) => path === 'db/extra')!;
      const blocks = await all(frozen.read(file));
      expect(blocks.map(({length}) => length)).toEqual([131_072, 131_072, 37_856]);
      expect(Buffer.concat(blocks)).toEqual(bytes);
      expect(new Set(blocks.map(({buffer}) => buffer)).size).toBe(3);
    });
  });

  const columns = recordedPaths.filter((path) =>
    /^db\/(trades~\d+|flat|weekly~\d+)\/[^/]+\/[^/]+\.(d|i|parquet)(\.\d+)?$/.test(path),
  );
  const needed = columns.filter(
    (path) => !/txn_seq|\/20[3-9]\d-W|\/21\d\d-W/.test(path) && recordedBytes(path).length > 0,
  );
  const symbols = recordedPaths.filter((path) => /\/sym\.[co]$/.test(path));
  test('fail with the name of the table when any file that its rows need is missing', async () => {
    expect(needed.length).toBeGreaterThan(30);
    await withFrozen(async (frozen) => {
      for (const path of [...needed, ...symbols]) {
        renameSync(join(root, path), join(folder, 'away'));
        const table = /^db\/([^/~]+)/.exec(path)![1]!;
        await expect(all(frozen.files()), path).rejects.toMatchObject({
          code: 'SOURCE_DAMAGED',
          message: expect.stringContaining(`table ${table} has lost`),
        });
        renameSync(join(folder, 'away'), join(root, path));
      }
      await all(frozen.files());
    });
  });

  test('fail when a column is shorter than its rows need', async () => {
    const path = needed.find((name) => name.includes('2024-01-02/id.d'))!;
    truncateSync(join(root, path), recordedBytes(path).length - 1);
    await withFrozen(async (frozen) => {
      await expect(all(frozen.files())).rejects.toMatchObject({code: 'SOURCE_DAMAGED'});
    });
  });

  test('fail to read when one vanishes or shrinks after it was listed', async () => {
    await withFrozen(async (frozen) => {
      const file = (await all(frozen.files())).find(({path}) => path.endsWith('2024-01-02/id.d'))!;
      rmSync(join(root, file.path));
      await expect(all(frozen.read(file))).rejects.toMatchObject({
        code: 'SOURCE_UNAVAILABLE',
        message: expect.stringContaining('of table trades is gone'),
      });
      writeFileSync(join(root, file.path), recordedBytes(file.path).subarray(8));
      await expect(all(frozen.read(file))).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE'});
    });
  });

  test('do not include partitions, column versions and folders that the checkpoint does not name', async () => {
    const trades = join(root, 'db', readdirSync(join(root, 'db')).find((name) => name.startsWith('trades'))!);
    for (const path of ['2024-01-01', '2024-01-09', '2024-01-02.77']) {
      rmSync(join(trades, path), {recursive: true, force: true});
    }
    writeFileSync(join(trades, '2024-01-02/price.d.99'), 'newer');
    writeFileSync(join(root, 'db/trades.lock'), '');
    await withFrozen(async (frozen) => {
      const paths = (await all(frozen.files())).map(({path}) => path);
      expect(paths).toEqual([...recordedPaths, 'conf/server.conf'].sort());
    });
  });

  test('name what the folders of tables have and the backup does not, and read each of them once', async () => {
    const folders = readdirSync(join(root, 'db'), {withFileTypes: true}).filter((entry) => entry.isDirectory());
    const trades = folders.find(({name}) => name.startsWith('trades'))!.name;
    mkdirSync(join(root, 'db', trades, '2024-01-07.detached'));
    writeFileSync(join(root, 'db', trades, '_convert'), '');
    const read: string[] = [];
    const {readdirSync: sync, promises} = fs;
    const {readdir} = promises;
    const noted = (path: unknown) => void (/\/db\/[^/]+$/.test(String(path)) && read.push(String(path)));
    vi.spyOn(fs, 'readdirSync').mockImplementation(((path: string, how: object) => {
      noted(path);
      return sync(path, how as {withFileTypes: true});
    }) as unknown as typeof sync);
    vi.spyOn(promises, 'readdir').mockImplementation(((path: string, how: object) => {
      noted(path);
      return readdir(path, how as {withFileTypes: true});
    }) as unknown as typeof readdir);
    syncBuiltinESMExports();
    onTestFinished(() => {
      vi.restoreAllMocks();
      syncBuiltinESMExports();
    });
    await withFrozen(async (frozen) => {
      await all(frozen.files());
      expect(frozen.facts.leftOut).toEqual([
        'detached partitions are not in the backup: 2024-01-07 of trades',
        'SET TYPE of table trades waits for a restart: it is not in the backup',
      ]);
    });
    const own = read.filter((path) => !path.includes('.checkpoint'));
    expect(own.length).toBeGreaterThanOrEqual(folders.length);
    expect(own.toSorted()).toEqual([...new Set(own)].sort());
  });

  test('fail with SOURCE_DAMAGED when a control file is truncated', async () => {
    const path = recordedPaths.find((name) => /^\.checkpoint\/db\/trades~\d+\/_txn$/.test(name))!;
    truncateSync(join(root, path), 100);
    await expect(open().freeze(options)).rejects.toMatchObject({code: 'SOURCE_DAMAGED'});
    expect(server.held).toBeUndefined();
  });
});

describe('a stamp', () => {
  const column = recordedPaths.find((path) => path.endsWith('2024-01-02/id.d'))!;
  const table = dirname(dirname(column));
  const stampsOf = async (frozen: Frozen) =>
    new Map((await all(frozen.files())).flatMap(({path, stamp}) => (stamp === undefined ? [] : [[path, stamp]])));
  const stampOf = async (frozen: Frozen) => (await stampsOf(frozen)).get(column);
  /** Writes into the valid record of the table's `_txn` in the checkpoint. */
  const changeTxn = (change: (bytes: Buffer, record: number) => void) => {
    const path = join(root, table.replace('db/', '.checkpoint/db/'), '_txn');
    const bytes = readFileSync(path);
    change(bytes, bytes.readInt32LE(bytes.readBigInt64LE(0) % 2n === 0n ? 8 : 32));
    writeFileSync(path, bytes);
  };

  test('is absent for a file written just before or after the checkpoint', async () => {
    const future = new Date(Date.now() + 3_600_000);
    utimesSync(join(root, column), future, future);
    await withFrozen(async (frozen) => expect(await stampOf(frozen)).toBeUndefined());
  });

  test('stays the same without writes, and changes with every write', async () => {
    await pause(settleMs);
    const first = await withFrozen(stampOf);
    expect(await withFrozen(stampOf)).toBe(first);
    appendFileSync(join(root, column), 'x');
    await pause(settleMs);
    const later = await withFrozen(stampOf);
    if (first === undefined) return expect(later).toBeUndefined();
    expect(later).not.toBe(first);
    // Setting mtime back does not hide the change, because ctime cannot be set.
    const {mtime} = statSync(join(root, column));
    writeFileSync(join(root, column), recordedBytes(column));
    utimesSync(join(root, column), mtime, mtime);
    await pause(settleMs);
    expect(await withFrozen(stampOf)).not.toBe(later);
  });

  test('is given to rows and texts only while the server runs, because it changes other files in place', async () => {
    await pause(settleMs);
    const stamps = await withFrozen(stampsOf);
    if (stamps.size === 0) return expect(await recordsMappedWrites(root)).toBe(false);
    const rows = /^db\/[^/]+\/(\d{4}[^/]*|default[^/]*)\/[^/]+\.(d|i|k|v|parquet)(\.\d+)?$/;
    const texts = /^db\/[^/]+\/[^/]+\.[cokv](\.\d+)?$/;
    expect([...stamps.keys()].filter((path) => !rows.test(path) && !texts.test(path))).toEqual([]);
    for (const part of [column, `${table}/sym.c`, `${table}/sym.o`]) expect(stamps.has(part), part).toBe(true);
    await stopServer();
    const stopped = await openQuestDbSource({root, offline: true}).freeze(options);
    expect((await stampsOf(stopped)).has('conf/server.conf')).toBe(true);
  });

  test('changes, without a write that the file shows, when the server may have overwritten rows or texts', async () => {
    await pause(settleMs);
    let before = await withFrozen(stampsOf);
    if (before.size === 0) return expect(await recordsMappedWrites(root)).toBe(false);
    const changed = async () => {
      const after = await withFrozen(stampsOf);
      const paths = [...before.keys()].filter((path) => after.get(path) !== before.get(path));
      before = after;
      return paths;
    };
    expect(await changed()).toEqual([]);
    // Parts that were split off the first partition were joined to it again.
    changeTxn((bytes, record) => {
      const flags = record + 128 + 4 + bytes.readInt32LE(record + 128) * 8 + 4 + 8 + 5;
      bytes.writeUInt8(bytes.readUInt8(flags) + 0x10, flags);
    });
    const ofPartition = await changed();
    expect(ofPartition.length).toBeGreaterThan(10);
    expect(new Set(ofPartition.map(dirname)).size).toBe(1);
    // Another text.
    changeTxn((bytes, record) => bytes.writeInt32LE(bytes.readInt32LE(record + 132) + 1, record + 132));
    expect(await changed()).toEqual([`${table}/sym.c`, `${table}/sym.o`]);
    // The flag that there are NULLs. The file shows this write; the other file of the texts does not.
    const offsets = readFileSync(join(root, table, 'sym.o'));
    offsets.writeUInt8(1 - offsets.readUInt8(8), 8);
    writeFileSync(join(root, table, 'sym.o'), offsets);
    await pause(settleMs);
    expect(await changed()).toContain(`${table}/sym.c`);
    changeTxn((bytes, record) => bytes.writeBigInt64LE(bytes.readBigInt64LE(record + 72) + 1n, record + 72));
    const ofTable = await changed();
    const emptyIndex = [`${table}/sym.k`, `${table}/sym.v`];
    const inTable = [...before.keys()].filter((path) => path.startsWith(`${table}/`) && !emptyIndex.includes(path));
    expect(ofTable.toSorted()).toEqual(inTable.toSorted());
  });
});

describe('a checkpoint', () => {
  test('of another program is reported with its time, and stays', async () => {
    server.held = Date.UTC(2026, 0, 2, 3, 4, 5) * 1000 + 6;
    await expect(open().freeze(options)).rejects.toMatchObject({
      code: 'SOURCE_LOCKED',
      message: expect.stringContaining('held since 2026-01-02T03:04:05.000006Z'),
    });
    await open().releaseLeftover(0);
    expect(server.held).toBeDefined();
    expect(server.statements).not.toContain('CHECKPOINT RELEASE');
  });

  test('is released when freezing fails, when it is cancelled, and when the reply to CREATE is lost', async () => {
    const stop = new AbortController();
    stop.abort(new Error('cancelled'));
    await expect(open().freeze({...options, signal: stop.signal})).rejects.toThrow('cancelled');
    rmSync(join(root, '.checkpoint/db/flat/_txn'));
    await expect(open().freeze(options)).rejects.toMatchObject({code: 'SOURCE_DAMAGED'});
    expect(server.held).toBeUndefined();
    server.cutsCreate = true;
    await expect(open().freeze(options)).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE'});
    expect(server.held).toBeUndefined();
    expect(readdirSync(root)).not.toContain('.bkp-checkpoint');
  });

  test('that another one has replaced is not confirmed, and the other one stays', async () => {
    const frozen = await open().freeze(options);
    await frozen.confirm();
    server.held! += 1;
    await expect(frozen.confirm()).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE'});
    await frozen.release();
    await frozen.release();
    expect(server.held).toBeDefined();
  });

  test('of a dead operation is recognised by its note, and released', async () => {
    const started = Date.now() * 1000;
    await open().freeze(options);
    expect(await open().heldCheckpoint()).toMatchObject({startedAtMicros: server.held, hold: 'operation test/1'});
    await open().releaseLeftover(started - 1_000_000);
    expect(server.held).toBeUndefined();
    expect(await open().heldCheckpoint()).toBeUndefined();
    expect(existsSync(join(root, '.bkp-checkpoint'))).toBe(false);
  });

  test('that the server refuses is reported in the words of the server', async () => {
    server.refusal = 'Could not sync';
    await expect(open().freeze(options)).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      message: expect.stringContaining('Could not sync'),
    });
  });

  test('that does not appear in the root belongs to another root', async () => {
    const other = join(folder, 'other');
    writeRecordedRoot(other);
    const old = new Date(Date.now() - 60_000);
    utimesSync(join(other, '.checkpoint/db/_checkpoint_meta.d'), old, old);
    await expect(openQuestDbSource({root: other, http: server.url}).freeze(options)).rejects.toMatchObject({
      message: expect.stringContaining('is not the root'),
      cause: expect.stringContaining('/srv/questdb'),
    });
    expect(server.held).toBeUndefined();
  });
});

describe('a server', () => {
  test('receives the credentials, and no description shows them', async () => {
    server.authorization = `Basic ${Buffer.from('joe:secret-word').toString('base64')}`;
    await expect(open().freeze(options)).rejects.toMatchObject({
      message: expect.stringContaining('does not accept these credentials'),
    });
    const inUrl = openQuestDbSource({root, http: server.url.replace('//', '//joe:secret-word@')});
    const given = openQuestDbSource({root, http: server.url, user: 'joe', password: 'secret-word'});
    for (const source of [inUrl, given]) {
      expect(source.description).toBe(`questdb::root=${root};http=${server.url}`);
      await (await source.freeze(options)).release();
    }
    server.authorization = 'Bearer a-token';
    await (await openQuestDbSource({root, http: server.url, token: 'a-token'}).freeze(options)).release();
  });

  test('that does not answer, and an invalid address or root, are reported', async () => {
    const away = server.url;
    await server.stop();
    await expect(openQuestDbSource({root, http: away}).freeze(options)).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      message: expect.stringContaining('does not answer'),
      retryable: true,
    });
    server = await ExecStandIn.start(root);
    expect(() => openQuestDbSource({root, http: 'ftp://there'})).toThrow(/not the address/);
    expect(() => openQuestDbSource({root, http: server.url, user: 'joe'})).toThrow(/belong together/);
    await expect(openQuestDbSource({root: folder, http: server.url}).dataId()).rejects.toMatchObject({
      message: expect.stringContaining('not the root of a QuestDB'),
    });
  });

  test('that is stopped is backed up from its files alone', async () => {
    await stopServer();
    const source = openQuestDbSource({root, offline: true});
    expect(source.description).toBe(`questdb::root=${root};offline=true`);
    const frozen = await source.freeze(options);
    const paths = (await all(frozen.files())).map(({path}) => path);
    expect(paths.filter((path) => path.startsWith('.checkpoint'))).toEqual([]);
    expect(paths).toEqual(expect.arrayContaining(recordedPaths.filter((path) => path.startsWith('db/'))));
    expect(paths).toContain('db/flat/_txn');
    await frozen.confirm();
    appendFileSync(join(root, 'db/flat/_txn'), 'x');
    await expect(frozen.confirm()).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE'});
    await frozen.release();
    server = await ExecStandIn.start(root);
  });

  test('that is stopped never loses a table silently', async () => {
    await stopServer();
    const freeze = () => openQuestDbSource({root, offline: true}).freeze(options);
    const namesOf = async () => (await freeze()).facts.tables.map(({name}) => name);
    const whole = await namesOf();
    const trades = readdirSync(join(root, 'db')).find((name) => name.startsWith('trades'))!;
    const moved = join(folder, 'moved');
    for (const path of [`${trades}/_txn`, `${trades}/_meta`, 'flat/_txn', 'flat/_meta']) {
      renameSync(join(root, 'db', path), moved);
      await expect(freeze(), path).rejects.toMatchObject({
        code: 'SOURCE_DAMAGED',
        message: expect.stringContaining(`has lost db/${path}`),
      });
      renameSync(moved, join(root, 'db', path));
    }
    writeRegistry('trades', trades);
    expect(await namesOf()).toEqual(whole);
    renameSync(join(root, 'db', trades), moved);
    await expect(freeze()).rejects.toMatchObject({
      code: 'SOURCE_DAMAGED',
      message: `table trades has lost its folder, db/${trades}`,
    });
    // A table in a volume that is not mounted.
    symlinkSync(join(folder, 'volume', trades), join(root, 'db', trades));
    await expect(freeze()).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      message: expect.stringContaining('a link that leads nowhere'),
    });
    mkdirSync(join(folder, 'volume'));
    renameSync(moved, join(folder, 'volume', trades));
    // No tables: what a file system makes, and what is left of a dropped table.
    mkdirSync(join(root, 'db/lost+found'));
    mkdirSync(join(root, 'db/old~9/txn_seq'), {recursive: true});
    expect(await namesOf()).toEqual(whole);
    server = await ExecStandIn.start(root);
  });

  test('that is stopped has views that have no _meta', async () => {
    await stopServer();
    const few = readdirSync(join(root, 'db')).find((name) => name.startsWith('few'))!;
    rmSync(join(root, 'db', few, '_meta'));
    const frozen = await openQuestDbSource({root, offline: true}).freeze(options);
    expect(frozen.facts.tables).toContainEqual({name: 'few', rows: 0});
    expect((await all(frozen.files())).map(({path}) => path)).toContain(`db/${few}/_view`);
    server = await ExecStandIn.start(root);
  });

  test('that a server has to recover first, or has never used, is no stopped server', async () => {
    await server.stop();
    const freeze = () => openQuestDbSource({root, offline: true}).freeze(options);
    // A restored root: the control files are in .checkpoint only.
    writeFileSync(join(root, '_restore'), '');
    await expect(freeze()).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('must recover the database'),
    });
    rmSync(join(root, '_restore'));
    rmSync(join(root, 'db'), {recursive: true});
    mkdirSync(join(root, 'db'));
    await expect(freeze()).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('contains no database'),
    });
    server = await ExecStandIn.start(root);
  });

  test('has a data id, which bkp writes if the server has none, and an update does not change', async () => {
    const id = await open().dataId();
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    rmSync(join(root, 'db/.data_id'));
    const made = await open().dataId();
    expect(made).toMatch(/^[0-9a-f]{32}$/);
    expect(made).not.toBe(id);
    // A newer server writes an id itself.
    writeFileSync(join(root, 'db/.data_id'), recordedBytes('db/.data_id'));
    expect(await open().dataId()).toBe(made);
  });
});

test('a restored copy has the same files as the root', async () => {
  const to = join(folder, 'copy');
  await withFrozen(async (frozen) => {
    const target = openQuestDbTarget({root: to});
    await target.prepare(frozen.facts);
    for await (const file of frozen.files()) await target.write(file, frozen.read(file));
    await target.publish({signal: new AbortController().signal});
  });
  expect(readdirSync(to).sort()).toEqual(['.checkpoint', '_restore', 'db']);
  for (const path of recordedPaths) {
    const bytes = plain(path, readFileSync(join(to, path)));
    expect(bytes.subarray(0, momentBytes(path).length), path).toEqual(momentBytes(path));
  }
});
