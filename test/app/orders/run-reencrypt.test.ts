import {expect, test} from 'vitest';
import {reencryptVault} from '../../../src/app/orders/run-reencrypt.ts';
import {BkpError} from '../../../src/errors/index.ts';

const order = {do: 'reencrypt', place: {store: {kind: 'directory', root: '/store'}}};

async function ended(reencrypt: () => Promise<unknown>): Promise<BkpError> {
  const tools = {vault: {id: 'v', reencrypt}, operation: {kind: 'reencrypt', number: 1}, progress: () => {}};
  return reencryptVault(tools as never, order as never).then(
    () => expect.unreachable(),
    (error: BkpError) => error,
  );
}

test('a store that forbids to put an object again ends a re-encryption with what it needs', async () => {
  const denied = new BkpError('STORE_DENIED', 'put packs/… is not allowed');
  const error = await ended(() => Promise.reject(denied));
  expect(error).toMatchObject({
    code: 'STORE_DENIED',
    exitStatus: 12,
    message: 'the store does not let bkp put objects again',
    cause: denied,
    next: expect.stringContaining('overwrite'),
  });
});

test('what is damaged stays, and is named', async () => {
  const damaged = [{key: 'packs/a', detail: 'packs/a does not open'}];
  const error = await ended(async () => ({objects: 3, bytes: 100, damaged}));
  expect(error).toMatchObject({code: 'OBJECT_DAMAGED', exitStatus: 13, details: ['packs/a does not open']});
});
