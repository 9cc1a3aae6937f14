import {expect, test} from 'vitest';
import {cleanUp} from '../../src/collections/index.ts';
import {openMemoryStore} from '../../src/stores/index.ts';
import {openVault} from '../../src/vault/index.ts';

const tools = {nowMicros: () => 0, signal: new AbortController().signal, progress: () => {}, notice: () => {}};

test('a cleanup waits for a running backup, and other backups begin meanwhile', async () => {
  const store = openMemoryStore();
  const vault = await openVault({store, create: true});
  const other = await openVault({store, lockWaitMs: 20_000});
  const running = await vault.writer({purpose: 'a long backup', subject: 'collection a'});
  let ended = false;
  const cleanup = cleanUp({...tools, vault}, 'cleanup/1').finally(() => {
    ended = true;
  });
  const second = await other.writer({purpose: 'another backup', subject: 'collection b'});
  await second.close();
  expect(ended).toBe(false);
  await running.close();
  expect(await cleanup).toEqual({freedBytes: 0, backups: 0});
  vault.close();
  other.close();
}, 40_000);

test('a cleanup that waits can be cancelled', async () => {
  const vault = await openVault({store: openMemoryStore(), create: true});
  const running = await vault.writer({purpose: 'a long backup'});
  const cancel = new AbortController();
  const cleanup = cleanUp({...tools, vault, signal: cancel.signal}, 'cleanup/1');
  cancel.abort(new Error('cancelled'));
  await expect(cleanup).rejects.toThrow('cancelled');
  await running.close();
  vault.close();
});
