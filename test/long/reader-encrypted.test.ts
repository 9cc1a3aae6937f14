import {cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {openDirectoryStore} from '../../src/stores/index.ts';
import {openVault, unlock} from '../../src/vault/index.ts';
import {newRawKey, newRoot, sealRing} from '../../src/vault/keys/ring.ts';
import {contentOfDatabase} from '../fixtures/content.ts';
import {loadStore, writeSealedCopy} from '../fixtures/sealed-copy.ts';
import {kitCode, password, removedCode, secrets} from '../fixtures/secrets.ts';
import {fixtureOf, folder, read, readWith, succeeds} from '../reader/run.ts';
import {encryptedWith} from '../vault/helpers.ts';

const {store, content} = fixtureOf('vault-3');

function fileWith(text: string): string {
  const path = join(folder(), 'secret.txt');
  writeFileSync(path, text);
  return path;
}

/** As a kit may look that was printed, and typed again: the key on two lines, in small letters. */
const kit = () =>
  fileWith(`Recovery kit\n\n  Key: ${kitCode.slice(0, 28).toLowerCase()}\n       ${kitCode.slice(28)}\n\nThe end\n`);

function copyOf(original: string): string {
  const copy = join(folder(), 'store');
  cpSync(original, copy, {recursive: true});
  return copy;
}

test.each(Object.keys(content.backups))('%s of vault-3 is restored with the kit, without bkp', (backup) => {
  const target = join(folder(), 'restored.db');
  succeeds(store, backup, '--to', target, '--kit', kit());
  expect(contentOfDatabase(target)).toEqual(content.backups[backup]!.tables);
});

test('a database backup is restored with the kit, without bkp', () => {
  const target = join(folder(), 'restored');
  succeeds(store, 'calm-river-otter', '--to', target, '--kit', kit());
  expect(contentOfDatabase(join(target, 'main.db'))).toMatchObject({customers: {rows: 3000}});
});

test('a password opens the vault, from a file or from the environment', () => {
  const wanted = {status: 0, stdout: expect.stringContaining('collection shop')};
  expect(read(store, '--password-file', fileWith(`${password}\n`))).toMatchObject(wanted);
  expect(readWith({BKP_PASSWORD: password.normalize('NFD')}, store)).toMatchObject(wanted);
  expect(readWith({BKP_PASSWORD_FILE: fileWith(kitCode)}, store)).toMatchObject(wanted);
  expect(readWith({BKP_PASSWORD_FILE: kit()}, store)).toMatchObject(wanted);
});

test.each(['vault-1', 'vault-2'])('everything in %s is read if it is encrypted', async (name) => {
  const {store: plain, content: wanted} = fixtureOf(name);
  const sealed = join(folder(), 'store');
  await writeSealedCopy(plain, sealed);
  expect(succeeds(sealed, '--kit', kit()).stdout).toBe(succeeds(plain).stdout);
  const backup = Object.keys(wanted.backups).at(-1)!;
  const target = join(folder(), 'restored.db');
  succeeds(sealed, backup, '--to', target, '--kit', kit());
  expect(contentOfDatabase(target)).toEqual(wanted.backups[backup]!.tables);
});

test.each([
  ['a wrong password', 'no password of it', 'this password opens no slot of the vault'],
  ['a removed key', removedCode, 'this key opens no slot of the vault'],
  ['a mistyped key', kitCode.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')), 'its last group does not belong to'],
  ['a key that is cut', kitCode.slice(0, -5), 'it has nine groups of four characters'],
  ['an empty password', '\n', 'the password is empty'],
])('%s is refused with the reason', (_, secret, message) => {
  expect(read(store, '--password-file', fileWith(secret))).toMatchObject({
    status: 1,
    stdout: '',
    stderr: expect.stringContaining(message),
  });
});

test('a kit without a key, and a secret for a vault without encryption, are refused', () => {
  expect(read(store, '--kit', fileWith('nothing')).stderr).toContain('contains no key: it begins with BKP-KEY1-');
  expect(read(fixtureOf('vault-2').store, '--kit', kit()).stderr).toContain('the vault is not encrypted');
});

test('neither the header, nor one copy of each key object, nor the index is needed', () => {
  const copy = copyOf(store);
  rmSync(join(copy, 'bkp.json'));
  rmSync(join(copy, 'index'), {recursive: true});
  rmSync(join(copy, 'keys/rings'), {recursive: true});
  for (const slot of readdirSync(join(copy, 'keys/spare/slots')))
    writeFileSync(join(copy, 'keys/spare/slots', slot), '{}');
  const target = join(folder(), 'restored.db');
  succeeds(copy, 'shop', '--to', target, '--kit', kit());
  expect(contentOfDatabase(target)).toEqual(content.backups['shop/20261127180900Z_incremental']!.tables);
});

test('a vault whose header claims that it is not encrypted is read as the encrypted one that it is', () => {
  const copy = copyOf(store);
  const header = JSON.parse(readFileSync(join(store, 'bkp.json'), 'utf8'));
  writeFileSync(join(copy, 'bkp.json'), JSON.stringify({...header, encryption: 'none'}));
  expect(succeeds(copy, '--kit', kit()).stdout).toContain('collection shop');
  expect(read(copy, '--password-file', fileWith('x')).stdout).toBe('');
});

test('an object that was exchanged for another one, or for one in plain, is refused', () => {
  const copy = copyOf(store);
  const backups = join(copy, '.backups/collections');
  const shop = join(
    backups,
    readdirSync(backups).find((name) => readdirSync(join(backups, name)).includes('20261127180200Z_full'))!,
  );
  const [full, increment] = ['20261127180200Z_full', '20261127180900Z_incremental'].map((name) => join(shop, name));
  cpSync(join(full!, 'manifest'), join(increment!, 'manifest'));
  expect(read(copy, 'shop/20261127180900Z_incremental', '--kit', kit()).stderr).toMatch(/it was changed, or belongs/);
  const plain = fixtureOf('vault-2').store;
  cpSync(join(plain, '.backups/collections/shop/20261127120200Z_full/manifest'), join(full!, 'manifest'));
  expect(read(copy, 'shop/20261127180200Z_full', '--kit', kit()).stderr).toMatch(/is not encrypted, but its vault is/);
});

test('packs that were exchanged, cut or changed are found, and nothing is left at the place', () => {
  const copy = copyOf(store);
  const packs = readdirSync(join(copy, 'packs'), {recursive: true, encoding: 'utf8'})
    .map((name) => join(copy, 'packs', name))
    .filter((path) => statSync(path).isFile());
  expect(packs).toHaveLength(4);
  renameSync(packs[0]!, join(copy, 'held'));
  cpSync(packs[1]!, packs[0]!);
  renameSync(join(copy, 'held'), packs[1]!);
  writeFileSync(packs[2]!, readFileSync(packs[2]!).subarray(0, -20));
  const bytes = readFileSync(packs[3]!);
  bytes[100]! ^= 1;
  writeFileSync(packs[3]!, bytes);
  const target = join(folder(), 'restored.db');
  expect(read(copy, 'shop', '--to', target, '--kit', kit())).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/bkp-reader: chunk [0-9a-f]{64} cannot be read from packs.*it was changed/),
  });
  expect(existsSync(target)).toBe(false);
});

/** A ring 5 for vault-3 that is sealed for the public keys in ring 4, as anyone can make who sees the store. */
async function forgedRing(): Promise<Buffer> {
  const {id} = JSON.parse(readFileSync(join(store, 'bkp.json'), 'utf8')) as {id: string};
  const {ring} = await unlock(await loadStore(store), secrets.kit, {vault: id});
  const mine = {names: newRawKey(id, 0).key, data: [newRawKey(id, 0)], meta: [newRawKey(id, 0)]};
  const before = {...ring, link: {...ring.link, root: newRoot().toString('hex')}};
  return sealRing({vault: id, root: newRoot(), before, keys: mine, slots: ring.slots}).bytes;
}

test('a ring that someone made who had no secret is refused, and so is that of another vault', async () => {
  const copy = copyOf(store);
  const forged = await forgedRing();
  for (const place of ['keys/rings', 'keys/spare/rings']) writeFileSync(join(copy, place, '00000005'), forged);
  expect(read(copy, '--kit', kit())).toMatchObject({
    status: 1,
    stdout: '',
    stderr: expect.stringContaining('ring 5 does not follow from the ring that the slot knows: someone else made it'),
  });
  const header = JSON.parse(readFileSync(join(copy, 'bkp.json'), 'utf8'));
  writeFileSync(join(copy, 'bkp.json'), JSON.stringify({...header, id: '0'.repeat(32)}));
  expect(read(copy, '--kit', kit())).toMatchObject({
    status: 1,
    stdout: '',
    stderr: expect.stringContaining('it belongs to another vault'),
  });
});

test('a newest backup that is gone is said to be gone, and no older one is restored for it', async () => {
  const at = join(folder(), 'store');
  const opened = await openDirectoryStore({root: at, create: true});
  const vault = await openVault({store: opened, create: true, encryption: encryptedWith(secrets.kit)});
  const names = ['20250101000000Z_full', '20250102000000Z_full'] as const;
  const keys = names.map((name) => `.backups/collections/shop/${name}/manifest`);
  for (const [i, key] of keys.entries()) {
    const body = {version: 1, collection: {name: 'shop'}, backup: names[i]!, tables: [], source: {}};
    const writer = await vault.writer({purpose: 'test'});
    await writer.commit(key, {kind: 'collection-backup', streams: [], body});
    await writer.close();
  }
  const list = () => succeeds(at, '--kit', kit()).stdout;
  expect(list()).not.toContain('is gone');
  const [hidden] = readdirSync(join(at, '.backups/collections'));
  rmSync(join(at, '.backups/collections', hidden!, names[1]), {recursive: true});
  expect(list()).toContain(`${names[1]}  is gone`);
  const refused = read(at, 'shop', '--kit', kit());
  expect([refused.status, refused.stderr]).toEqual([
    1,
    expect.stringContaining(`shop/${names[1]} is gone, and nothing says that it was removed; name one that is left`),
  ]);
  succeeds(at, `shop/${names[0]}`, '--to', join(folder(), 'one.db'), '--kit', kit());
  // Removed with the keys.
  const collector = await vault.collector({purpose: 'test'});
  await collector.remove([keys[1]!]);
  await collector.close();
  expect(list()).not.toContain('is gone');
  succeeds(at, 'shop', '--to', join(folder(), 'newest.db'), '--kit', kit());
  vault.close();
});

test('the next step that the list names works as it is typed', () => {
  const {stderr, stdout} = succeeds(store, '--kit', kit());
  const said = /^ {2}node bkp-reader\.mjs (.*)$/m.exec(stdout + stderr)![1]!;
  const words = [...said.matchAll(/'([^']*)'|(--\S+)/g)].map(([, quoted, option]) => quoted ?? option!);
  succeeds(...words, '--to', join(folder(), 'restored.db'));
});
