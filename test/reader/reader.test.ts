import {createHash} from 'node:crypto';
import {cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {dirname, join, relative, sep} from 'node:path';
import {expect, test} from 'vitest';
import {contentOfDatabase} from '../fixtures/content.ts';
import {fixtureOf, fixturePath, folder, read, readerPath, readWith, succeeds} from './run.ts';

// bin/bkp-reader.mjs shares no code with bkp: it proves that docs/format.md says what bkp writes.

const fixtures = ['vault-1', 'vault-2'].map(fixtureOf);

const backups = fixtures.flatMap(({name, store, content}) =>
  Object.keys(content.backups).map((backup) => ({name, backup, store, wanted: content.backups[backup]!.tables})),
);
test.each(backups)('$backup of $name is restored without bkp', ({backup, store, wanted}) => {
  const target = join(folder(), 'restored.db');
  succeeds(store, backup, '--to', target);
  expect(contentOfDatabase(target)).toEqual(wanted);
});

test('every file of a database backup is restored without bkp', () => {
  const {store, content} = fixtures[0]!;
  for (const backup of ['gentle-forest-orchid', 'calm-river-otter']) {
    const target = join(folder(), 'restored');
    succeeds(store, backup, '--to', target, '--optional');
    const newest = Object.keys(content.databases)
      .filter((name) => name.startsWith(`${backup}/`))
      .sort()
      .at(-1)!;
    const paths = readdirSync(target, {recursive: true, encoding: 'utf8'}).filter((path) =>
      statSync(join(target, path)).isFile(),
    );
    const hash = (path: string) =>
      createHash('sha256')
        .update(readFileSync(join(target, path)))
        .digest('hex');
    const files = Object.fromEntries(paths.map((path) => [relative('', path).split(sep).join('/'), hash(path)]));
    expect(files).toEqual(content.databases[newest]!.files);
  }
});

test('the list has every backup that counts, and none that a verdict makes void', () => {
  const {store, content} = fixtures[0]!;
  const {stdout} = succeeds(store);
  for (const backup of [...Object.keys(content.backups), ...Object.keys(content.databases)]) {
    expect(stdout).toContain(`  ${backup.split('/')[1]}  `);
  }
  expect(stdout).not.toContain('void');
});

test.each(['-wal', '-journal'])('nothing is restored beside a %s that another database left', (end) => {
  const target = join(folder(), 'restored.db');
  writeFileSync(target + end, 'left');
  const {status, stderr} = read(fixtures[1]!.store, 'shop', '--to', target);
  expect({status, stderr}).toMatchObject({
    status: 1,
    stderr: expect.stringContaining(`mv '${target}${end}' '${target}${end}.old'`),
  });
  expect(readdirSync(dirname(target))).toEqual([`restored.db${end}`]);
});

test('tables are written as CSV', () => {
  const target = join(folder(), 'csv');
  succeeds(fixtures[1]!.store, 'shop', '--csv', '--table', 'customers', '--to', target);
  expect(readdirSync(target)).toEqual(['customers.csv']);
  const lines = readFileSync(join(target, 'customers.csv'), 'utf8').split('\r\n');
  expect(lines[0]).toBe('id,name,note,later');
  expect(lines).toContain('-9223372036854775808,least,,7');
});

test('a changed byte of a pack is found, and nothing is left at the place', () => {
  const store = join(folder(), 'store');
  cpSync(fixtures[1]!.store, store, {recursive: true});
  const packs = readdirSync(join(store, 'packs'), {recursive: true, encoding: 'utf8'}).filter((path) =>
    statSync(join(store, 'packs', path)).isFile(),
  );
  for (const path of packs) {
    const bytes = readFileSync(join(store, 'packs', path));
    bytes[20]! ^= 1;
    writeFileSync(join(store, 'packs', path), bytes);
  }
  const target = join(folder(), 'restored.db');
  expect(read(store, 'shop', '--to', target)).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/bkp-reader: chunk [0-9a-f]{64} cannot be read from packs/),
  });
  expect(existsSync(target)).toBe(false);
});

test('a vault that lost its header and its indexes is read', () => {
  const store = join(folder(), 'store');
  const {store: original, content} = fixtures[1]!;
  cpSync(original, store, {recursive: true});
  rmSync(join(store, 'bkp.json'));
  rmSync(join(store, 'index'), {recursive: true});
  const target = join(folder(), 'restored.db');
  succeeds(store, 'shop', '--to', target);
  expect(contentOfDatabase(target)).toEqual(Object.values(content.backups).at(-1)!.tables);
});

test.each([
  [['shop/20200101000000Z_full'], 'there is no backup 20200101000000Z_full: there are 20261127'],
  [['nothing'], 'the vault contains no collection or database nothing: it has shop'],
  [['shop', '--table', 'nothing'], 'the backup has no table nothing: it has customers, orders'],
  [['shop', '--to', fixturePath('vault-2')], 'exists already, and nothing is replaced: name another place with --to'],
  [['shop', '--no-such-option'], 'Usage: node bkp-reader.mjs STORE'],
])('%j is refused with the reason', (args, message) => {
  expect(read(fixtures[1]!.store, ...args)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining(message),
  });
});

test('a Node that is too old is named, with the version to get', () => {
  const old = `Object.defineProperty(process, 'versions', {value: {...process.versions, node: '20.19.0'}});`;
  const preload = `data:text/javascript,${encodeURIComponent(old)}`;
  const run = readWith({NODE_OPTIONS: `--import=${preload}`}, fixtures[0]!.store);
  expect(run).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('Node 24.7 or newer is needed, this is 20.19.0'),
  });
  // An old Node links the imports by name before it runs a line.
  const names = readFileSync(readerPath, 'utf8').match(/^import [^;]* from 'node:(sqlite|crypto|zlib)';$/gm);
  expect(names).toEqual(["import * as crypto from 'node:crypto';", "import * as zlib from 'node:zlib';"]);
});
