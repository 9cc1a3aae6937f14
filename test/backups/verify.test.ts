import {expect, test} from 'vitest';
import {verifyEach} from '../../src/backups/index.ts';
import {ChunkUses} from '../../src/backups/uses.ts';
import {BkpError} from '../../src/errors/index.ts';
import type {ChunkId, Finding, VaultReader} from '../../src/vault/index.ts';

const id = (text: string) => text as ChunkId;
const damaged = (...chunks: string[]): Finding => ({
  what: 'damaged',
  needed: chunks.map(id),
  detail: 'pack p is damaged',
});

test('a finding names the parts that use its chunks, grouped by their backups', () => {
  const finding = damaged('1', '2');
  const uses = new ChunkUses([finding]);
  for (const backup of ['b/1', 'b/2']) for (const part of ['orders', 'products']) uses.noterOf({part, backup})(id('1'));
  uses.noterOf({part: 'orders', backup: 'b/2'})(id('1'));
  uses.noterOf({part: 'users', backup: 'b/2'})(id('2'));
  uses.noterOf({part: 'unrelated', backup: 'b/2'})(id('3'));
  expect(uses.describe(finding)).toBe('orders, products of b/1, b/2 and users of b/2: pack p is damaged');
});

test('a finding about one chunk names only the parts that use this chunk', () => {
  const one: Finding = {what: 'missing', chunk: id('1'), needed: [id('2')], detail: 'chunk 1 is missing'};
  const uses = new ChunkUses([one, damaged('2')]);
  uses.noterOf({part: 'a', backup: 'b/1'})(id('1'));
  uses.noterOf({part: 'c', backup: 'b/1'})(id('2'));
  expect(uses.describe(one)).toBe('a of b/1: chunk 1 is missing');
  expect(uses.describe({what: 'damaged', detail: 'index i is damaged'})).toBe('index i is damaged');
});

test('a finding lists at most 20 parts of a backup', () => {
  const finding = damaged('1');
  const uses = new ChunkUses([finding]);
  for (let n = 0; n < 25; n++) uses.noterOf({part: `f${n}`, backup: 'b/1'})(id('1'));
  expect(uses.describe(finding)).toMatch(/f19 and 5 more of b\/1: /);
});

const quiet = {signal: new AbortController().signal, progress: () => {}, notice: () => {}};
const vaultWith = (findings: readonly Finding[]) =>
  ({verify: async () => ({findings, harmless: []}), readBytes: 0}) as unknown as VaultReader;
const verifiable = {
  subject: 'shop',
  names: ['1', '2'],
  labelOf: (name: string) => `shop/${name}`,
  read: async (name: string) => name,
  streamsOf: () => [],
  noteUses: async (name: string) => (name === '2' ? 'its list disagrees' : undefined),
  next: 'look',
};

test('VERIFY reports unreadable manifests, findings, and faults of a backup itself only without findings', async () => {
  const alone = verifyEach({...quiet, vault: vaultWith([])}, {level: 'data'}, verifiable);
  await expect(alone).rejects.toMatchObject({message: 'shop: 1 fault found', details: ['shop/2: its list disagrees']});
  const read = async (name: string) => {
    if (name === '1') throw new BkpError('OBJECT_MISSING', 'its manifest is missing');
    return name;
  };
  const both = verifyEach({...quiet, vault: vaultWith([damaged('1')])}, {level: 'data'}, {...verifiable, read});
  await expect(both).rejects.toMatchObject({
    code: 'DAMAGE_FOUND',
    details: ['shop/1: its manifest is missing', 'pack p is damaged'],
  });
});

test('VERIFY lists at most 50 faults and counts the others', async () => {
  const findings = Array.from({length: 60}, (_, n) => damaged(String(n)));
  const {message, details} = (await verifyEach(
    {...quiet, vault: vaultWith(findings)},
    {level: 'data'},
    verifiable,
  ).catch((error: BkpError) => error as BkpError)) as BkpError;
  expect(message).toBe('shop: 60 faults found');
  expect(details).toHaveLength(51);
  expect(details.at(-1)).toBe('… and 10 more');
});
