import {expect, onTestFinished, test} from 'vitest';
import {randomFrom} from '../../helpers/random-from.ts';
import {seed} from '../../seeds/seed.ts';
import {type Backup, fillStaging, restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {type Build, clusterOfFile, filledAndEmpty} from './cluster.ts';
import {retried} from './increments.ts';

// The server adds no valid check to a domain that a column has within an array, a range or a row; nor a NOT NULL. Rows
// that break one come back all the same: those of an older backup of the chain, and those that are there.

const clusters = {15: clusterOfFile(15), 16: clusterOfFile(16), 18: clusterOfFile(18)};
const versions = [15, 16, 18] as const satisfies readonly Build[];
const owner = 'collection-1';

async function databases(version: keyof typeof clusters, tracking: 'triggers' | 'scan', sql: string) {
  const {database, target} = await filledAndEmpty(clusters[version](), sql);
  const source = database.with({tracking});
  onTestFinished(() => source.close());
  return {database, target, source};
}

async function restored(target: Parameters<typeof fillStaging>[0], backup: Backup): Promise<readonly string[]> {
  const notices: string[] = [];
  const staging = await fillStaging(target, backup);
  await staging.publish({notice: (text) => notices.push(text)});
  await staging.discard();
  return notices;
}

const constraints = `(SELECT t.typname, t.typnotnull, k.conname, k.contype, k.convalidated, pg_get_constraintdef(k.oid),
  obj_description(k.oid, 'pg_constraint')
  FROM pg_type t LEFT JOIN pg_constraint k ON k.contypid = t.oid
  WHERE t.typtype = 'd' AND t.typnamespace = 'public'::regnamespace)`;

const truth = (sql: string) =>
  `CREATE OR REPLACE FUNCTION ok(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT ${sql}'`;

const nested = `${truth('true')};
  CREATE DOMAIN "D" AS int CONSTRAINT "K k" CHECK (ok(value)) CONSTRAINT small CHECK (value < 100);
  COMMENT ON CONSTRAINT "K k" ON DOMAIN "D" IS 'it''s ok'; CREATE DOMAIN e AS "D" CHECK (value <> 50);
  CREATE TYPE pair AS (a e, b int); CREATE TYPE span AS RANGE (subtype = "D");
  CREATE TABLE t (id "D" PRIMARY KEY, a "D"[], p pair, s span, m span_multirange, l pair[]) PARTITION BY RANGE (id);
  CREATE TABLE t1 PARTITION OF t DEFAULT; CREATE INDEX ON t ((a[1]));
  CREATE TABLE u (key e[] PRIMARY KEY, t "D" REFERENCES t, CHECK (t < 9));
  INSERT INTO t VALUES (1, '{-1,2}', '(-2,1)', '[-5,-1]', '{[-7,-3]}', '{"(-1,3)"}'),
    (2, '{2}', '(2,)', '[1,2]', '{}', '{}');
  INSERT INTO u VALUES ('{-1}', 1), ('{4}', 2)`;

for (const version of versions) {
  test(`version ${version}: values within others that break a check come back, and it holds for new ones`, async () => {
    const {database, target, source} = await databases(version, 'triggers', nested);
    await database.exec(truth('$1 > 0'));
    const notices = await restored(target.source, await takeFull(source, {tables: ['public.t', 'public.u']}));
    for (const name of ['t', 'u']) expect(await target.rows(name)).toEqual(await database.rows(name));
    const before = await database.rows(constraints);
    expect(await target.rows(constraints)).toEqual(
      before.map((row) =>
        row.includes('"K k"') ? row.replace(',c,t,', ',c,f,').replace('ok(VALUE))', 'ok(VALUE)) NOT VALID') : row,
      ),
    );
    expect(notices).toEqual([
      'a check of the domain "public"."D" is not valid for all rows: ' +
        'value for domain "D" violates check constraint "K k"; it holds for new values',
    ]);
    await expect(target.exec(`INSERT INTO t VALUES (7, '{-1}')`)).rejects.toThrow('K k');
    await expect(target.exec('UPDATE u SET t = 9 WHERE t = 2')).rejects.toThrow('check');
  });

  test(`version ${version}: a chain whose first rows break a check of today comes back with the check`, async () => {
    for (const tracking of ['triggers', 'scan'] as const) {
      const {database, target, source} = await databases(version, tracking, nested);
      const full: Backup = await retried(() => takeFull(source, {tables: ['public.t', 'public.u'], track: {owner}}));
      await database.exec(`DELETE FROM u WHERE t = 1; DELETE FROM t WHERE id = 1; ${truth('$1 > 0')}`);
      const increment = await retried(() => takeIncrement(source, owner, full));
      expect(await restored(target.source, increment)).toEqual([]);
      for (const name of ['t', 'u']) expect(await target.rows(name)).toEqual(await database.rows(name));
      expect(await target.rows(constraints)).toEqual(await database.rows(constraints));
    }
  });

  test(`version ${version}: NULL in a domain that is NOT NULL comes back, and no new one is accepted`, async () => {
    const {database, target, source} = await databases(
      version,
      'triggers',
      `CREATE DOMAIN n1 AS int NOT NULL CHECK (value > 0); CREATE DOMAIN n2 AS n1; CREATE DOMAIN n3 AS int NOT NULL;
       CREATE DOMAIN n4 AS int NOT NULL;
       CREATE TABLE t (id int PRIMARY KEY, a n2[], v n3, w n4, x n4[]);
       INSERT INTO t VALUES (1, '{1,2}', 3, 4, '{5}'), (2, '{}', 3, 4, '{}');
       UPDATE t SET a[5] = 7 WHERE id = 1;
       INSERT INTO t SELECT 3, NULL, q.v, q.w, '{}' FROM (SELECT 3) one LEFT JOIN t q ON q.id = 9`,
    );
    expect(await database.rows('t')).toContain('(3,,,,{})');
    const notices = await restored(target.source, await takeFull(source, {tables: ['public.t']}));
    expect(await target.rows('t')).toEqual(await database.rows('t'));
    // A cast would be refused, so the value is taken as an outer join does: that needs no other domain.
    const kept = "(SELECT typnotnull FROM pg_type WHERE typname = 'n4')";
    expect(await target.rows(kept)).toEqual(['(t)']);
    expect(notices.toSorted()).toEqual([
      expect.stringMatching(/^a NOT NULL of the domain "public"\."n1" .*; it holds for new values$/u),
      expect.stringMatching(/^a NOT NULL of the domain "public"\."n3" .*; ALTER DOMAIN .* SET NOT NULL; tries again$/u),
    ]);
    for (const values of ["9, '{NULL}', 1, 1", "9, '{}', NULL, 1", "9, '{}', 1, NULL"]) {
      await expect(target.exec(`INSERT INTO t (id, a, v, w) VALUES (${values})`)).rejects.toThrow(/null/u);
    }
    await target.exec('DELETE FROM t WHERE v IS NULL');
    await target.exec(/; (ALTER DOMAIN .*;) tries again$/u.exec(notices.find((text) => text.includes('n3'))!)![1]!);
  });
}

type Case = {create: string; insert: (sign: () => string) => string};

/** Types within each other, at random, and a table of them; `sign` decides which number is negative. */
function randomCase(random: () => number, at: number): Case {
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]!;
  type Type = {name: string; value: (sign: () => string) => string};
  const number = (sign: () => string) => `${sign()}${1 + Math.floor(random() * 40)}`;
  const types: Type[] = [{name: 'd0', value: (sign) => `(${number(sign)})::d0`}];
  const create = ['CREATE DOMAIN d0 AS int CONSTRAINT k CHECK (ok(value))'];
  for (let made = 1; made <= 7; made++) {
    const [name, of] = [`x${made}`, pick(types)];
    const many = (sign: () => string) => [of, of].slice(random() < 0.3 ? 1 : 0).map(({value}) => value(sign));
    const kinds = {
      domain: () => {
        create.push(`CREATE DOMAIN ${name} AS ${of.name} CHECK (value IS NOT NULL OR true)`);
        types.push({name, value: (sign) => `${of.value(sign)}::${name}`});
      },
      array: () => {
        if (of.name.endsWith('[]')) return;
        types.push({name: `${of.name}[]`, value: (sign) => `ARRAY[${many(sign).join(', ')}]::${of.name}[]`});
      },
      row: () => {
        create.push(`CREATE TYPE ${name} AS (a ${of.name}, "b b" text)`);
        types.push({name, value: (sign) => `ROW(${of.value(sign)}, 'it''s "\\,(')::${name}`});
      },
      range: () => {
        create.push(`CREATE TYPE ${name} AS RANGE (subtype = ${of.name})`);
        const value = (sign: () => string) => {
          const bounds = many(sign);
          const [low, high] = [bounds[0]!, bounds.at(-1)!];
          return `${name}(least(${low}, ${high}), greatest(${low}, ${high}), '[]')`;
        };
        types.push({name, value}, {name: `${name}_multirange`, value: (sign) => `${name}_multirange(${value(sign)})`});
      },
    };
    kinds[pick(['domain', 'array', 'row', 'range'] as const)]();
  }
  const columns = Array.from({length: 4}, () => pick(types));
  const key = pick([...types.filter(({name}) => name === 'd0'), ...types]);
  const named = columns.map((type, number) => `c${number} ${type.name}`).join(', ');
  create.push(`CREATE TABLE t${at} (k ${key.name}, n int, bad bool, ${named}, PRIMARY KEY (n, k))`);
  const insert = (sign: () => string) => {
    const rows = Array.from({length: 12}, (_, n) => {
      let isBad = false;
      const signed = () => {
        const one = sign();
        isBad ||= one === '-';
        return one;
      };
      const values = [key, ...columns].map((type, number) => {
        return number > 0 && random() < 0.2 ? 'NULL' : type.value(signed);
      });
      return `(${values[0]}, ${n}, ${isBad}, ${values.slice(1).join(', ')})`;
    });
    return `INSERT INTO t${at} VALUES ${rows.join(', ')}`;
  };
  return {create: create.join('; '), insert};
}

const mostCases = 8;

for (const version of versions) {
  test(`version ${version}: types within each other, at random, seed ${seed}`, async () => {
    for (let at = 0; at < mostCases; at++) {
      const random = randomFrom(seed + at);
      const {create, insert} = randomCase(random, at);
      const [tracking, keeps] = [random() < 0.5 ? ('scan' as const) : ('triggers' as const), random() < 0.5];
      const setUp = `${truth('true')}; ${create}; ${insert(() => (random() < 0.05 ? '-' : ''))}`;
      const {database, target, source} = await databases(version, tracking, setUp);
      const table = `t${at}`;
      const told = `BKP_TEST_SEED=${seed} case ${at}: ${setUp}`;
      const full: Backup = await retried(() => takeFull(source, {tables: [`public.${table}`], track: {owner}}));
      await database.exec(
        `${keeps ? '' : `DELETE FROM ${table} WHERE bad;`} DELETE FROM ${table} WHERE n = 3; ${truth('$1 > 0')}`,
      );
      const increment = await retried(() => takeIncrement(source, owner, full));
      const notices = await restored(target.source, increment).catch((error: unknown) => {
        throw new Error(told, {cause: error});
      });
      expect(await target.rows(table), told).toEqual(await database.rows(table));
      const breaks = (await database.rows(`(SELECT FROM ${table} WHERE bad)`)).length > 0;
      expect(notices.length > 0, told).toBe(breaks);
      const after = await target.rows(constraints);
      const domainOf = (row: string) => /^\((\w+),/u.exec(row)![1]!;
      const used = new Set(after.map(domainOf));
      const before = (await database.rows(constraints)).filter((row) => used.has(domainOf(row)));
      const valid = after.map((row) => row.replace(',c,f,', ',c,t,').replace(' NOT VALID', ''));
      expect(breaks ? valid : after, told).toEqual(before);
      if (!used.has('d0')) continue;
      await expect(target.exec('SELECT (-1)::d0'), told).rejects.toThrow('"k"');
    }
  });
}

test('a row type of a table, and a domain over an array, hold a domain too', async () => {
  const {database, target, source} = await databases(
    18,
    'triggers',
    `${truth('true')}; CREATE DOMAIN d AS int CHECK (ok(value)); 
     CREATE DOMAIN list AS d[] CHECK (cardinality(value) < 9);
     CREATE TABLE a (id int PRIMARY KEY, v d); CREATE TABLE b (id int PRIMARY KEY, r a, l list);
     INSERT INTO a VALUES (1, -1); INSERT INTO b SELECT 1, a, '{-1}' FROM a; ${truth('$1 > 0')}`,
  );
  await restore(target.source, await takeFull(source, {tables: ['public.a', 'public.b']}));
  for (const name of ['a', 'b']) expect(await target.rows(name)).toEqual(await database.rows(name));
});
