import {createHash} from 'node:crypto';
import {cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {dirname, join, relative, sep} from 'node:path';
import {zstdDecompressSync} from 'node:zlib';
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
    // Not of the backup: a server of QuestDB recovers from the checkpoint when it finds this file.
    const isLive = paths.some((path) => path.startsWith('.checkpoint'));
    expect(paths.includes('_restore')).toBe(isLive);
    const stored = paths.filter((path) => path !== '_restore');
    const files = Object.fromEntries(stored.map((path) => [relative('', path).split(sep).join('/'), hash(path)]));
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

/** A copy of a vault, and the manifests of its collection `shop`, the oldest first. */
function copyWithManifests() {
  const store = join(folder(), 'store');
  cpSync(fixtures[1]!.store, store, {recursive: true});
  const shop = join(store, '.backups/collections/shop');
  const names = readdirSync(shop).filter((name) => /^\d{14}Z_/.test(name));
  return {store, shop, names, manifests: names.map((name) => join(shop, name, 'manifest'))};
}

test('the backup that a list proposes is the newest one that opens', () => {
  const {store, names, manifests} = copyWithManifests();
  const proposed = () => /'shop\/(\S+)'/.exec(succeeds(store).stderr)?.[1];
  expect(proposed()).toBe(names.at(-1));
  cpSync(manifests[0]!, manifests.at(-1)!);
  expect(proposed()).toBe(names.at(-2));
});

test('a manifest in the place of another one is damaged, and its backup is not restored for the other', () => {
  const {store, shop, names, manifests} = copyWithManifests();
  const instance = readdirSync(join(fixtures[0]!.store, 'backup'))[0]!;
  const other = `.backups/collections/shop/${names[0]}/manifest is damaged: it is of backup ${names[1]}`;
  cpSync(manifests[1]!, manifests[0]!);
  expect(succeeds(store).stdout).toContain(`  ${names[0]}  ${other}`);
  const target = join(folder(), 'restored.db');
  expect(read(store, `shop/${names[0]}`, '--to', target)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining(other),
  });
  expect(existsSync(target)).toBe(false);
  // A folder that was copied under another name.
  cpSync(shop, join(dirname(shop), 'copy'), {recursive: true});
  expect(succeeds(store).stdout).toContain(`copy/${names[1]}/manifest is damaged: it is of collection shop`);
  cpSync(manifests[1]!, join(store, 'backup', instance, '20261121T120000.000000Z', 'manifest'));
  expect(succeeds(store).stdout).toContain('is damaged: it is a manifest of kind collection-backup');
});

test('only a verdict that says void hides a backup, and one of a removal whatever it says', () => {
  const {store, shop, names, manifests} = copyWithManifests();
  const verdict = join(shop, names[0]!, 'verdict', leaseOf(manifests[0]!));
  const isListed = () => succeeds(store).stdout.includes(`  ${names[0]}  `);
  mkdirSync(dirname(verdict));
  for (const [text, listed] of [['', true] as const, ['void', false] as const]) {
    writeFileSync(verdict, text);
    expect([text, isListed()]).toEqual([text, listed]);
  }
  writeFileSync(verdict, 'counts');
  writeFileSync(`${verdict}-removed`, 'void');
  expect(isListed()).toBe(false);
});

/** The lease in a manifest: docs/format.md, "Sealed objects". */
function leaseOf(path: string): string {
  const bytes = readFileSync(path);
  const payload = bytes.subarray(16, -32);
  return JSON.parse((bytes[6] === 1 ? zstdDecompressSync(payload) : payload).toString()).lease;
}

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
