import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {FrozenFile} from '../../../../src/sources/index.ts';
import {openQuestDbTarget} from '../../../../src/sources/questdb/index.ts';

let folder: string;
let root: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-questdb-target-'));
  root = join(folder, 'root');
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const facts = {product: 'questdb', version: '9.3.4', tables: [{name: 'trades', rows: 3}]} as const;

function file(path: string, bytes: string, more: Partial<FrozenFile> = {}): FrozenFile {
  return {path, sizeBytes: Buffer.byteLength(bytes), zeroTailBytes: 0, blockBytes: 4, ...more};
}
async function* stream(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}
const target = (more: {tables?: string[]; withConf?: boolean} = {}) => openQuestDbTarget({root, ...more});

const id = file('db/.data_id', '0123456789abcdef');
const column = file('db/trades~1/2024-01-01/id.d', 'rows', {table: 'trades'});
const other = file('db/quotes~2/2024-01-01/id.d', 'more', {table: 'quotes'});
const control = file('.checkpoint/db/trades~1/_txn', 'txn!', {table: 'trades'});
const conf = file('conf/server.conf', 'a=b', {optional: true});

async function writeAll(to: ReturnType<typeof target>): Promise<void> {
  await to.write(id, stream('0123456789', 'abcdef'));
  await to.write(column, stream('rows'));
  await to.write(other, stream('more'));
  await to.write(control, stream('txn!'));
  await to.write(conf, stream('a=b'));
}

test.each(['', '/below'])('prepare() refuses a target that is a file, or is below one: FILE%s', async (below) => {
  writeFileSync(root, '');
  const to = openQuestDbTarget({root: `${root}${below}`});
  expect((await to.survey!(facts)).inTheWay).toBe(`${root} is a file, but the root of a QuestDB is a folder`);
  await expect(to.prepare(facts)).rejects.toMatchObject({code: 'PRECONDITION'});
});

test.each(['', '/below'])(
  'prepare() refuses a link that leads nowhere, and what is below it: LINK%s',
  async (below) => {
    symlinkSync(join(root, 'gone'), `${root}-link`);
    const to = openQuestDbTarget({root: `${root}-link${below}`});
    const message = `${root}-link is a link to ${join(root, 'gone')}, where nothing is`;
    expect((await to.survey!(facts)).inTheWay).toBe(message);
    await expect(to.prepare(facts)).rejects.toMatchObject({code: 'PRECONDITION', message});
  },
);

test('files appear in the root only with publish()', async () => {
  mkdirSync(root);
  writeFileSync(join(root, '_backup_restore'), '');
  const to = target();
  await to.prepare(facts);
  await writeAll(to);
  expect(readdirSync(root).sort()).toEqual(['.bkp-restore', '_backup_restore']);
  await to.publish({signal: new AbortController().signal});
  expect(readdirSync(root).sort()).toEqual(['.checkpoint', '_restore', 'db']);
  expect(readFileSync(join(root, column.path), 'utf8')).toBe('rows');
  await expect(target().prepare(facts)).rejects.toMatchObject({
    code: 'TABLE_EXISTS',
    message: 'The local database is not empty. It already has an associated data ID.',
  });
});

test('a backup of a stopped server is restored without files for a recovery', async () => {
  const to = target();
  await to.prepare(facts);
  await to.write(column, stream('rows'));
  await to.publish({signal: new AbortController().signal});
  expect(readdirSync(root)).toEqual(['db']);
});

test('zeros after a file are a hole, which uses no space', async () => {
  const to = target();
  await to.prepare(facts);
  const open = {...column, zeroTailBytes: 16 * 1024 * 1024};
  await to.write(open, stream('rows'));
  await to.publish({signal: new AbortController().signal});
  const {size, blocks} = statSync(join(root, open.path));
  expect(size).toBe(4 + 16 * 1024 * 1024);
  expect(blocks * 512).toBeLessThan(1024 * 1024);
  expect(
    readFileSync(join(root, open.path))
      .subarray(4)
      .every((byte) => byte === 0),
  ).toBe(true);
});

test('the configuration is restored only on request, and never overwrites another', async () => {
  const to = target({withConf: true});
  await to.prepare(facts);
  await writeAll(to);
  await to.publish({signal: new AbortController().signal});
  expect(readFileSync(join(root, 'conf/server.conf'), 'utf8')).toBe('a=b');
  rmSync(root, {recursive: true});
  mkdirSync(join(root, 'conf'), {recursive: true});
  writeFileSync(join(root, 'conf/server.conf'), 'mine');
  await expect(target({withConf: true}).prepare(facts)).rejects.toMatchObject({code: 'PRECONDITION'});
  const without = target();
  await without.prepare(facts);
  await writeAll(without);
  await without.publish({signal: new AbortController().signal});
  expect(readFileSync(join(root, 'conf/server.conf'), 'utf8')).toBe('mine');
});

test('single tables are restored without the other tables and without the data id', async () => {
  const to = target({tables: ['trades']});
  await to.prepare(facts);
  await writeAll(to);
  await to.publish({signal: new AbortController().signal});
  expect(readdirSync(join(root, 'db'))).toEqual(['trades~1']);
});

test('a root that contains a database is refused and not changed', async () => {
  for (const path of ['db/trades~1/_txn', '.checkpoint/db/x', '_restore']) {
    rmSync(root, {recursive: true, force: true});
    mkdirSync(join(root, path, '..'), {recursive: true});
    writeFileSync(join(root, path), 'mine');
    const before = readdirSync(root, {recursive: true});
    await expect(target().prepare(facts)).rejects.toMatchObject({
      code: 'TABLE_EXISTS',
      message: expect.stringMatching(/^The local database is not empty\./),
    });
    expect((await target().survey!(facts)).inTheWay).toMatch(/^The local database is not empty\./);
    expect(readdirSync(root, {recursive: true})).toEqual(before);
  }
  rmSync(root, {recursive: true});
  expect((await target().survey!(facts)).freeBytes).toBeGreaterThan(0);
  expect(existsSync(root)).toBe(false);
});

test('a restore continues an interrupted one, and removes files of another backup', async () => {
  const first = target();
  await first.prepare(facts);
  await first.write(column, stream('rows'));
  await first.write(other, stream('more'));
  writeFileSync(join(root, '.bkp-restore/db/trades~1/2024-01-01/half.bkp-part'), 'ha');
  const second = target();
  await second.prepare(facts);
  const found = await second.finished(column);
  const parts: Uint8Array[] = [];
  for await (const part of found!) parts.push(part);
  expect(Buffer.concat(parts).toString()).toBe('rows');
  expect(await second.finished({...control, sizeBytes: 5})).toBeUndefined();
  await second.write(control, stream('txn!'));
  await second.publish({signal: new AbortController().signal});
  expect(readdirSync(root, {recursive: true}).sort()).toEqual([
    '.checkpoint',
    '.checkpoint/db',
    '.checkpoint/db/trades~1',
    '.checkpoint/db/trades~1/_txn',
    '_restore',
    'db',
    'db/trades~1',
    'db/trades~1/2024-01-01',
    'db/trades~1/2024-01-01/id.d',
  ]);
});

test('a restore finishes an interrupted publish()', async () => {
  const first = target();
  await first.prepare(facts);
  await writeAll(first);
  // The state after a kill between two moves.
  writeFileSync(join(root, '_restore'), '');
  writeFileSync(join(root, '.bkp-restore/moving'), '_restore\n.checkpoint\ndb\n');
  renameSync(join(root, '.bkp-restore/.checkpoint'), join(root, '.checkpoint'));
  const second = target();
  await second.prepare(facts);
  for (const one of [id, column, other, control]) expect(await second.finished(one), one.path).toBeDefined();
  await second.publish({signal: new AbortController().signal});
  expect(readdirSync(root).sort()).toEqual(['.checkpoint', '_restore', 'db']);
  expect(readFileSync(join(root, control.path), 'utf8')).toBe('txn!');
});

test('a root in which a server has started in the meantime is refused', async () => {
  const first = target();
  await first.prepare(facts);
  await writeAll(first);
  mkdirSync(join(root, 'db'));
  writeFileSync(join(root, 'db/.data_id'), 'of a server');
  await expect(target().prepare(facts)).rejects.toMatchObject({code: 'TABLE_EXISTS'});
  rmSync(join(root, '.bkp-restore'), {recursive: true});
  // The state after a kill between the last move and the end.
  mkdirSync(join(root, '.bkp-restore'));
  writeFileSync(join(root, '.bkp-restore/moving'), 'db\n');
  await expect(target().prepare(facts)).rejects.toMatchObject({code: 'TABLE_EXISTS'});
});

test('a failed restore leaves what QuestDB Enterprise leaves, which blocks the next restore', async () => {
  const to = target();
  await to.prepare(facts);
  await writeAll(to);
  await to.fail(['trades']);
  expect(readFileSync(join(root, '_restore_failed'), 'utf8')).toBe('trades\n');
  expect(readdirSync(join(root, '.restore_failed'))).toEqual(['trades~1']);
  await expect(target().prepare(facts)).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: 'Failed restore directory found',
  });
  expect(await target().survey!(facts)).toMatchObject({nextStep: expect.stringContaining(`rm -r '${root}`)});
  rmSync(join(root, '_restore_failed'));
  await expect(target().prepare(facts)).rejects.toMatchObject({message: 'Failed restore directory found'});
  rmSync(join(root, '.restore_failed'), {recursive: true});
  const next = target();
  await next.prepare(facts);
  expect(await next.finished(column)).toBeUndefined();
  expect(await next.finished(other)).toBeDefined();
});

test('paths outside of the root and backups of other products are refused', async () => {
  const to = target();
  await to.prepare(facts);
  for (const path of ['../escaped', 'db/../../escaped', '/etc/escaped', 'public/escaped', 'db/./escaped']) {
    await expect(to.write(file(path, 'x'), stream('x')), path).rejects.toThrow(/invariant/);
  }
  expect(readdirSync(folder)).toEqual(['root']);
  await expect(target().prepare({...facts, product: 'sqlite'})).rejects.toMatchObject({code: 'BAD_REQUEST'});
});
