import {defineConfig} from 'vitest/config';
import {keptCode} from './test/helpers/compiled-code.ts';

const rooms = ['care', 'indexes', 'lease', 'ledger', 'read', 'write'].map((room) => `test/vault/${room}/**/*.test.ts`);
const collections = ['objects', 'resume', 'restore/content', 'care/cleanup', 'backup/meanwhile'];

/** Tests of `npm test` that hold for encrypted vaults word for word, and that depend on what is in the store. */
export default defineConfig({
  test: {
    include: [...rooms, ...collections.map((name) => `test/collections/${name}.test.ts`)],
    env: {...keptCode, BKP_TEST_ENCRYPTED: '1'},
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: {poll: {timeout: 60_000}},
    maxWorkers: 2,
  },
});
