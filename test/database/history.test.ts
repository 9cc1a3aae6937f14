import {expect, test} from 'vitest';
import {
  applyRetention,
  listDatabaseBackups,
  planDatabaseRestore,
  planDatabaseRetention,
  restoreDatabase,
  takeDatabaseBackup,
} from '../../src/database/index.ts';
import fc from '../seeds/fast-check.ts';
import {newStore, noise, open} from '../vault/helpers.ts';
import {contentOf, FakeDatabase, FakeTarget, surroundings, takeBackup, toRemove} from './fakes.ts';

// Random histories of a database of files: at the end, every remaining backup is restored byte by byte.

const runs = 25 * Number(process.env.BKP_TEST_RUNS ?? 1);

type Step =
  | {kind: 'write'; file: number; sizeBytes: number; seed: number; stamped: boolean}
  | {kind: 'append'; file: number; sizeBytes: number; seed: number}
  | {kind: 'change'; file: number; at: number}
  | {kind: 'remove' | 'rename'; file: number}
  | {kind: 'backup'; differences: boolean}
  | {kind: 'cancelled backup'; after: number}
  | {kind: 'new process'}
  | {kind: 'retention'; keepLatest: number};

const file = fc.nat(30);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      file,
      // Some files have more chunks than one list, or more than a manifest lists inline.
      sizeBytes: fc.oneof(fc.nat(300), fc.nat(300), fc.integer({min: 5000, max: 30_000})),
      seed: fc.nat(5),
      stamped: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({kind: fc.constant('append' as const), file, sizeBytes: fc.nat(200), seed: fc.nat(5)}),
  },
  {weight: 3, arbitrary: fc.record({kind: fc.constant('change' as const), file, at: fc.nat(1000)})},
  {weight: 2, arbitrary: fc.record({kind: fc.constantFrom('remove' as const, 'rename' as const), file})},
  {weight: 4, arbitrary: fc.record({kind: fc.constant('backup' as const), differences: fc.boolean()})},
  {weight: 1, arbitrary: fc.record({kind: fc.constant('cancelled backup' as const), after: fc.nat(20)})},
  {weight: 1, arbitrary: fc.constant({kind: 'new process' as const})},
  {
    weight: 1,
    arbitrary: fc.record({kind: fc.constant('retention' as const), keepLatest: fc.integer({min: 1, max: 3})}),
  },
);

const pathOf = (n: number) => `db/t~${n % 4}/${'day'.repeat(n % 3)}${n}.d`;

test('every backup of a random history is restored exactly', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, {minLength: 5, maxLength: 40}), async (steps) => {
      const store = newStore();
      const database = new FakeDatabase();
      const taken = new Map<string, ReturnType<typeof contentOf>>();
      let vault = await open(store);
      for (const one of [...steps, {kind: 'backup', differences: false} as const]) {
        const path = 'file' in one ? pathOf(one.file) : '';
        const bytes = database.files.get(path)?.bytes;
        switch (one.kind) {
          case 'write':
            database.set(path, noise(one.sizeBytes, one.seed), {table: 't', stamped: one.stamped});
            break;
          case 'append':
            if (bytes !== undefined) database.set(path, Buffer.concat([bytes, noise(one.sizeBytes, one.seed)]));
            break;
          case 'change':
            if (bytes === undefined || bytes.length === 0) break;
            database.set(
              path,
              bytes.map((byte, at) => (at === one.at % bytes.length ? byte ^ 1 : byte)),
            );
            break;
          case 'rename':
            if (bytes !== undefined) database.files.set(`${path}.1`, database.files.get(path)!);
            database.files.delete(path);
            break;
          case 'remove':
            database.files.delete(path);
            break;
          case 'backup':
            taken.set((await takeBackup(vault, database, {differences: one.differences})).backup, contentOf(database));
            break;
          case 'cancelled backup': {
            const cancel = new AbortController();
            let left = one.after;
            database.onRead = () => {
              if (left-- === 0) cancel.abort(new Error('cancelled'));
            };
            const tools = {...surroundings(cancel.signal), vault, source: database};
            await takeDatabaseBackup(tools, {operation: '1'}).then(
              ({backup}) => taken.set(backup, contentOf(database)),
              () => {},
            );
            database.onRead = () => {};
            break;
          }
          case 'new process':
            vault = await open(store);
            break;
          case 'retention': {
            const plan = planDatabaseRetention(await listDatabaseBackups(vault), one, Date.now());
            await applyRetention({...surroundings(), vault}, plan, '1');
            for (const {backup} of toRemove(plan)) taken.delete(backup);
            break;
          }
        }
        expect(database.releases).toBe(database.freezes);
      }
      const left = await listDatabaseBackups(vault);
      expect(left.map(({backup}) => backup)).toEqual([...taken.keys()]);
      for (const {backup, timestampMicros} of left) {
        const target = new FakeTarget();
        const plan = await planDatabaseRestore({vault, target}, {at: timestampMicros});
        await restoreDatabase({...surroundings(), vault, target}, plan);
        expect(target.published).toEqual(taken.get(backup));
      }
    }),
    {numRuns: runs},
  );
});
