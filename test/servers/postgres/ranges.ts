import {setTimeout as pause} from 'node:timers/promises';
import type pg from 'pg';
import {randomFrom} from '../../helpers/random-from.ts';
import type {Cluster} from './cluster.ts';

export const rowsOfTable = 8000;

/** A type whose order is not PostgreSQL's own: its table is read in the order of its blocks. */
const ownOrder = `
  CREATE FUNCTION before(a point, b point) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT a[0] < b[0]';
  CREATE FUNCTION until(a point, b point) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT a[0] <= b[0]';
  CREATE FUNCTION same(a point, b point) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT a[0] = b[0]';
  CREATE FUNCTION since(a point, b point) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT a[0] >= b[0]';
  CREATE FUNCTION after(a point, b point) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT a[0] > b[0]';
  CREATE FUNCTION compare(a point, b point) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btfloat8cmp(a[0], b[0])';
  CREATE OPERATOR <! (leftarg = point, rightarg = point, function = before);
  CREATE OPERATOR <=! (leftarg = point, rightarg = point, function = until);
  CREATE OPERATOR =! (leftarg = point, rightarg = point, function = same);
  CREATE OPERATOR >=! (leftarg = point, rightarg = point, function = since);
  CREATE OPERATOR >! (leftarg = point, rightarg = point, function = after);
  CREATE OPERATOR CLASS by_x DEFAULT FOR TYPE point USING btree AS OPERATOR 1 <!, OPERATOR 2 <=!, OPERATOR 3 =!,
    OPERATOR 4 >=!, OPERATOR 5 >!, FUNCTION 1 compare(point, point);`;

export const rangesTables = ['public.by_key', 'public.by_block', 'public.pieces'];
/** About 8 MB each: eight ranges. */
export const rangesSchema = `${ownOrder}
  CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE TABLE by_key (id int PRIMARY KEY, n int NOT NULL, pad text NOT NULL, feels mood);
  CREATE TABLE by_block (id point PRIMARY KEY, n int NOT NULL, pad text NOT NULL);
  CREATE TABLE pieces (id int PRIMARY KEY, n int NOT NULL, pad text NOT NULL) PARTITION BY RANGE (id);
  CREATE TABLE piece_a PARTITION OF pieces FOR VALUES FROM (MINVALUE) TO (4000);
  CREATE TABLE piece_b PARTITION OF pieces FOR VALUES FROM (4000) TO (9000);
  ALTER TABLE by_block SET (autovacuum_enabled = off); ALTER TABLE by_key SET (autovacuum_enabled = off);
  INSERT INTO by_key SELECT g, 0, repeat(md5(g::text), 31), 'ok' FROM generate_series(1, ${rowsOfTable}) g;
  INSERT INTO by_block SELECT point(g, 0), 0, repeat(md5(g::text), 31) FROM generate_series(1, ${rowsOfTable}) g;
  INSERT INTO pieces SELECT g, 0, repeat(md5(g::text), 31) FROM generate_series(1, ${rowsOfTable}) g;`;

/**
 * Sessions that write to some of the ranges until they are stopped: rolled back, nested and prepared transactions.
 * @returns errors that are none of two writers that meet
 */
export async function writeToRanges(
  cluster: Cluster,
  name: string,
  {seed, signal, count = 6}: {seed: number; signal: AbortSignal; count?: number},
): Promise<readonly string[]> {
  const errors = await Promise.all(
    Array.from({length: count}, (_, at) => write(cluster, name, seed * 10 + at, signal)),
  );
  return errors.flat();
}

async function write(cluster: Cluster, name: string, seed: number, signal: AbortSignal): Promise<readonly string[]> {
  const client = await cluster.client(name);
  const random = randomFrom(seed);
  const errors: string[] = [];
  while (!signal.aborted) {
    try {
      await transaction(client, random);
    } catch (error) {
      const {code, message} = error as Error & {code?: string};
      if (code !== '40P01' && code !== '55P03') errors.push(message);
      if (code === undefined) break;
      await client.query('ROLLBACK').catch(() => {});
    }
  }
  await client.end();
  return errors;
}

/** A transaction that writes to a few neighbouring rows, or only seems to. */
async function transaction(client: pg.Client, random: () => number): Promise<void> {
  const some = (limit: number) => Math.floor(random() * limit);
  // Most writing is in one half of the keys, so that some ranges stay as they are.
  const id = 1 + some(random() < 0.9 ? rowsOfTable / 4 : rowsOfTable / 2);
  const table = ['by_key', 'by_block', 'pieces'][some(3)]!;
  const is = table === 'by_block' ? `id =! point(${id}, 0)` : `id = ${id}`;
  const key = table === 'by_block' ? `point(${id}, 0)` : String(id);
  const row = table === 'by_key' ? `(id, n, pad, feels)` : `(id, n, pad)`;
  const feels = table === 'by_key' ? `, 'ok'` : '';
  const insert = `INSERT INTO ${table} ${row} VALUES (${key}, ${some(1e6)}, repeat(md5('${id}'), 31)${feels})
    ON CONFLICT (id) DO NOTHING`;
  if (random() < 0.03) return void (await client.query(`VACUUM (FREEZE) ${table}`));
  await client.query('BEGIN');
  const ways = [
    `UPDATE ${table} SET n = n + 1 WHERE ${is}`,
    `DELETE FROM ${table} WHERE ${is}`,
    insert,
    `DELETE FROM ${table} WHERE ${is}; ${insert}`,
    `SELECT FROM ${table} WHERE ${is} FOR UPDATE`,
    `SAVEPOINT a; UPDATE ${table} SET n = n + 1 WHERE ${is}; RELEASE a`,
    `SAVEPOINT a; UPDATE ${table} SET n = n + 1 WHERE ${is}; ROLLBACK TO a`,
    `SAVEPOINT a; DELETE FROM ${table} WHERE ${is}; SAVEPOINT b; ${insert}; RELEASE b; RELEASE a`,
  ];
  await client.query(ways[some(ways.length)]!);
  if (random() < 0.3) await pause(random() * 800);
  const end = random();
  if (end < 0.15) await client.query('ROLLBACK');
  else if (end < 0.3) {
    const name = `bkp_${some(1e9)}`;
    await client.query(`PREPARE TRANSACTION '${name}'`);
    await pause(random() * 800);
    await client.query(`${random() < 0.8 ? 'COMMIT' : 'ROLLBACK'} PREPARED '${name}'`);
  } else await client.query('COMMIT');
}
