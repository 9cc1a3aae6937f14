import {expect, onTestFinished, test, vi} from 'vitest';
import {Connection} from '../../../src/sources/postgres/connection/connection.ts';
import {clusterOfFile, databaseOfTest} from './cluster.ts';

const cluster = clusterOfFile(18);

/** How many questions a snapshot asks, with the schemas of its tables. */
async function questionsOf(count: number): Promise<number> {
  const database = await databaseOfTest(
    cluster(),
    "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
  );
  const names = Array.from({length: count}, (_, at) => `t${at}`);
  for (const name of names) await database.exec(`CREATE TABLE ${name} (id serial PRIMARY KEY, m mood, n positive)`);
  const asked = vi.spyOn(Connection.prototype, 'rows');
  onTestFinished(() => asked.mockRestore());
  const snapshot = await database.source.snapshot({tables: names.map((name) => `public.${name}`)});
  const {length} = asked.mock.calls;
  asked.mockRestore();
  expect(new Set(snapshot.schemas.map(({fingerprint}) => fingerprint)).size).toBe(1);
  await snapshot.close();
  return length;
}

test('a snapshot asks as many questions for ten tables as for two', async () => {
  const few = await questionsOf(2);
  expect(await questionsOf(10)).toBe(few);
});
