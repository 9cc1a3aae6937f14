import fc from 'fast-check';

/** Random tables and random statements on them; most statements collide with something, which is the point. */

const keys = [
  {columns: 'k INTEGER PRIMARY KEY', end: ''},
  {columns: 'k INTEGER PRIMARY KEY AUTOINCREMENT', end: ''},
  {columns: 'k INTEGER PRIMARY KEY DESC', end: ''},
  {columns: 'k TEXT PRIMARY KEY', end: ''},
  {columns: 'k TEXT COLLATE NOCASE NOT NULL PRIMARY KEY', end: ''},
  {columns: 'k PRIMARY KEY', end: ''},
  {columns: 'k BLOB', end: ', PRIMARY KEY (k DESC)'},
  {columns: 'k REAL NOT NULL PRIMARY KEY', end: ''},
  {columns: 'k TEXT COLLATE NOCASE', end: ', PRIMARY KEY (k COLLATE BINARY)'},
  {columns: 'k TEXT, m INTEGER', end: ', PRIMARY KEY (k, m)'},
  {columns: 'k, m', end: ', PRIMARY KEY (m COLLATE NOCASE, k DESC)'},
  {columns: `k TEXT NOT NULL DEFAULT 'a', m INTEGER`, end: ', PRIMARY KEY (k, m)'},
  {columns: 'k TEXT COLLATE NOCASE', end: ', PRIMARY KEY (k)) WITHOUT ROWID --'},
  {columns: 'k TEXT COLLATE NOCASE', end: ', PRIMARY KEY (k COLLATE BINARY)) WITHOUT ROWID --'},
  {columns: 'k, m', end: ', PRIMARY KEY (k, m COLLATE RTRIM)) WITHOUT ROWID --'},
] as const;

const types = [
  '',
  'TEXT',
  'TEXT COLLATE NOCASE',
  'INTEGER',
  'REAL',
  'NUMERIC',
  'BLOB',
  'NUMERIC NOT NULL DEFAULT 1',
  `TEXT NOT NULL DEFAULT 'a'`,
];

const generated = [
  '',
  ', g AS (a || b)',
  ', g TEXT COLLATE NOCASE AS (lower(a)) STORED',
  ', g AS (ifnull(c, a)) VIRTUAL',
];

const uniques = [
  '(a)',
  '(a COLLATE NOCASE)',
  '(a, b)',
  '(b DESC, a COLLATE RTRIM)',
  '(c) WHERE b IS NOT NULL',
  "(a) WHERE typeof(c) = 'text'",
  '(lower(a))',
  '(a || b)',
  '(ifnull(b, c), a)',
  '(k, a)',
];
const generatedUniques = ['(g)', '(g COLLATE BINARY, a)', '(b) WHERE g > 0'];

const values = [
  'NULL',
  '0',
  '1',
  '2',
  '-1',
  '1.0',
  '0.5',
  '-0.0',
  '9e999',
  '9223372036854775807',
  '-9223372036854775808',
  `'a'`,
  `'A'`,
  `'a '`,
  `'b'`,
  `'1'`,
  `''`,
  `'é'`,
  `CAST(x'6100ff' AS TEXT)`,
  `x''`,
  `x'61'`,
  `x'00'`,
];

export type RandomTable = {schema: string; columns: readonly string[]};

export const tableArbitrary: fc.Arbitrary<RandomTable> = fc
  .record({
    key: fc.constantFrom(...keys),
    types: fc.tuple(...[1, 2, 3].map(() => fc.constantFrom(...types))),
    inline: fc.boolean(),
    generated: fc.constantFrom(...generated),
    uniques: fc.uniqueArray(fc.nat(100), {maxLength: 3}),
  })
  .map(({key, types: [a, b, c], inline, generated: g, uniques: chosen}) => {
    const list = [...uniques, ...(g === '' ? [] : generatedUniques)];
    const table = `CREATE TABLE t (${key.columns}, a ${a}, b ${b}, c ${c}${g}${inline ? ', UNIQUE (c, b)' : ''}${key.end}\n)`;
    // A table option after the closing bracket hides the last one in a comment.
    const ending = key.end.includes('--') ? table.slice(0, table.indexOf(' --')) : table;
    const indexes = [...new Set(chosen.map((n) => list[n % list.length]!))].map(
      (terms, n) => `CREATE UNIQUE INDEX u${n} ON t ${terms}`,
    );
    const columns = [...(key.columns.includes('m') && /\bm\b/.test(key.columns) ? ['k', 'm'] : ['k']), 'a', 'b', 'c'];
    return {schema: [ending, ...indexes, 'CREATE INDEX plain ON t (b, c)'].join(';\n'), columns};
  });

const value = fc.constantFrom(...values);
const conflict = fc.constantFrom('OR REPLACE', 'OR REPLACE', 'OR IGNORE', 'OR FAIL', 'OR ABORT', '');

/** One or several statements that run together. */
export function changeArbitrary({columns}: RandomTable): fc.Arbitrary<string> {
  const column = fc.constantFrom(...columns);
  const row = fc.tuple(...columns.map(() => value)).map((row) => `(${row.join(', ')})`);
  const insert = fc
    .tuple(conflict, fc.array(row, {minLength: 1, maxLength: 4}))
    .map(([or, rows]) => `INSERT ${or} INTO t (${columns.join(', ')}) VALUES ${rows.join(', ')}`);
  const insertSome = fc
    .tuple(conflict, column, value)
    .map(([or, name, one]) => `INSERT ${or} INTO t (${name}) VALUES (${one})`);
  const upsert = fc
    .tuple(row, column, value)
    .map(
      ([one, name, to]) =>
        `INSERT INTO t (${columns.join(', ')}) VALUES ${one} ON CONFLICT DO UPDATE SET ${name} = ${to}, a = excluded.b`,
    );
  const update = fc
    .tuple(conflict, column, fc.oneof(value, column), column, value)
    .map(([or, name, to, where, one]) => `UPDATE ${or} t SET ${name} = ${to} WHERE ${where} IS ${one}`);
  const rowid = fc
    .tuple(conflict, fc.integer({min: -1, max: 5}), fc.integer({min: 0, max: 5}))
    .map(([or, to, from]) => `UPDATE ${or} t SET rowid = ${to} WHERE rowid = ${from}`);
  const remove = fc.tuple(column, value).map(([name, one]) => `DELETE FROM t WHERE ${name} IS ${one}`);
  const again = fc.tuple(column, value).map(
    ([name, one]) =>
      `CREATE TEMP TABLE kept AS SELECT ${columns.join(', ')} FROM t WHERE ${name} IS ${one};
         DELETE FROM t WHERE ${name} IS ${one};
         INSERT OR IGNORE INTO t (${columns.join(', ')}) SELECT * FROM kept; DROP TABLE kept`,
  );
  const many = fc.nat(1000).map(
    (seed) =>
      `WITH RECURSIVE n (i) AS (SELECT ${seed} UNION ALL SELECT i + 1 FROM n WHERE i < ${seed} + 1500)
         INSERT OR IGNORE INTO t (${columns.join(', ')}) SELECT ${columns.map((_, at) => `i * ${2 * at + 7} % 9973`).join(', ')} FROM n`,
  );
  const single = fc.oneof(
    {weight: 6, arbitrary: insert},
    {weight: 3, arbitrary: insertSome},
    {weight: 3, arbitrary: upsert},
    {weight: 6, arbitrary: update},
    {weight: 1, arbitrary: rowid},
    {weight: 2, arbitrary: remove},
    {weight: 1, arbitrary: again},
    {weight: 1, arbitrary: many},
  );
  const rolledBack = fc
    .array(single, {minLength: 1, maxLength: 3})
    .map((list) => `BEGIN; ${list.join('; ')}; ROLLBACK`);
  const settings = fc.constantFrom('PRAGMA recursive_triggers = ON', 'PRAGMA recursive_triggers = OFF', 'VACUUM');
  return fc.oneof(
    {weight: 12, arbitrary: single},
    {weight: 1, arbitrary: rolledBack},
    {weight: 1, arbitrary: settings},
  );
}
