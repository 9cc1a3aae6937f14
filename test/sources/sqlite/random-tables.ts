import fc from '../../seeds/fast-check.ts';
import type {Database} from './database.ts';

/** Random tables and random statements on them; most statements conflict with something, on purpose. */

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
  {columns: 'k TEXT NOT NULL DEFAULT (hex(randomblob(2))) PRIMARY KEY', end: ''},
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
  '0.0',
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

/** Children of `t`: SQLite converts the parent's key to the affinities of their columns while it checks them. */
const childTypes = ['TEXT', 'INTEGER', 'REAL', 'NUMERIC', 'BLOB', '', 'TEXT COLLATE NOCASE'];
const actions = ['CASCADE', 'CASCADE', 'SET NULL', 'SET DEFAULT', 'NO ACTION', 'RESTRICT'];
const parents = ['k', 'k', 'k', 'a', 'c, b', 'k, m'];

/** Triggers of the application that write to the table during a write to it. */
const userTriggers = [
  'AFTER UPDATE OF a ON t BEGIN UPDATE t SET b = NEW.a WHERE k IS NEW.k; END',
  'AFTER INSERT ON t BEGIN UPDATE OR IGNORE t SET c = NEW.a WHERE k IS NOT NEW.k AND b IS NEW.b; END',
  'AFTER DELETE ON t BEGIN INSERT OR IGNORE INTO t (a) VALUES (OLD.b); END',
  'AFTER INSERT ON t WHEN NEW.a IS NOT NULL BEGIN SELECT RAISE(IGNORE); END',
  'BEFORE INSERT ON t WHEN NEW.b IS 1 BEGIN SELECT RAISE(IGNORE); END',
  'BEFORE INSERT ON t BEGIN DELETE FROM t WHERE a IS NEW.b; END',
  'BEFORE INSERT ON t BEGIN INSERT OR IGNORE INTO t (b) VALUES (NEW.a); END',
  'BEFORE DELETE ON t BEGIN DELETE FROM t WHERE k < OLD.k; END',
  'BEFORE DELETE ON t BEGIN DELETE FROM t WHERE k > OLD.k; END',
  'BEFORE DELETE ON t BEGIN INSERT OR IGNORE INTO t (a) VALUES (OLD.a); END',
  'BEFORE UPDATE OF b ON t BEGIN DELETE FROM t WHERE c IS OLD.c AND k IS NOT OLD.k; END',
];

/** `schema` creates `t`, and the other `tables`. */
export type RandomTable = {schema: string; columns: readonly string[]; tables: readonly string[]};

const childArbitrary = fc
  .record({
    parent: fc.constantFrom(...parents),
    types: fc.tuple(fc.constantFrom(...childTypes), fc.constantFrom(...childTypes)),
    onDelete: fc.constantFrom(...actions),
    onUpdate: fc.constantFrom(...actions),
    deferred: fc.boolean(),
    indexed: fc.boolean(),
    isKey: fc.constantFrom(false, false, true, 'WITHOUT ROWID'),
  })
  .map(({parent, types, onDelete, onUpdate, deferred, indexed, isKey}) => {
    const up = parent.split(', ').map((_, at) => `u${at}`);
    const columns = up.map((name, at) => `${name} ${types[at]} DEFAULT ${at + 1}`).join(', ');
    const reference =
      `FOREIGN KEY (${up.join(', ')}) REFERENCES t ` + `(${parent}) ON DELETE ${onDelete} ON UPDATE ${onUpdate}`;
    const key = isKey !== false ? `PRIMARY KEY (${up.join(', ')})` : 'PRIMARY KEY (n)';
    const table =
      `CREATE TABLE child (n INTEGER, ${columns}, ${key}, ` +
      `${reference}${deferred ? ' DEFERRABLE INITIALLY DEFERRED' : ''})${isKey === 'WITHOUT ROWID' ? ` ${isKey}` : ''}`;
    return indexed ? `${table}; CREATE INDEX child_up ON child (${up.join(', ')})` : table;
  });

export const tableArbitrary: fc.Arbitrary<RandomTable> = fc
  .record({
    key: fc.constantFrom(...keys),
    types: fc.tuple(...[1, 2, 3].map(() => fc.constantFrom(...types))),
    inline: fc.boolean(),
    generated: fc.constantFrom(...generated),
    uniques: fc.uniqueArray(fc.nat(100), {maxLength: 3}),
    child: fc.option(childArbitrary, {nil: undefined}),
    self: fc.option(fc.constantFrom(...actions), {nil: undefined, freq: 4}),
    triggers: fc.uniqueArray(fc.constantFrom(...userTriggers), {maxLength: 2}),
  })
  .map(({key, types: [a, b, c], inline, generated: g, uniques: chosen, child, self, triggers}) => {
    const list = [...uniques, ...(g === '' ? [] : generatedUniques)];
    const reference =
      self === undefined || key.columns.includes('m') ? '' : ` REFERENCES t (k) ON DELETE ${self} ON UPDATE ${self}`;
    const table =
      `CREATE TABLE t (${key.columns}, a ${a}${reference}, b ${b}, c ` +
      `${c}${g}${inline ? ', UNIQUE (c, b)' : ''}${key.end}\n)`;
    // A table option after the closing parenthesis hides the last one in a comment.
    const ending = key.end.includes('--') ? table.slice(0, table.indexOf(' --')) : table;
    const indexes = [...new Set(chosen.map((n) => list[n % list.length]!))].map(
      (terms, n) => `CREATE UNIQUE INDEX u${n} ON t ${terms}`,
    );
    const columns = [...(key.columns.includes('m') && /\bm\b/.test(key.columns) ? ['k', 'm'] : ['k']), 'a', 'b', 'c'];
    const schema = [
      ending,
      ...indexes,
      'CREATE INDEX plain ON t (b, c)',
      ...(child === undefined ? [] : [child]),
      ...triggers.map((trigger, n) => `CREATE TRIGGER user${n} ${trigger}`),
    ];
    return {schema: schema.join(';\n'), columns, tables: child === undefined ? ['t'] : ['t', 'child']};
  });

const value = fc.constantFrom(...values);
const conflict = fc.constantFrom('OR REPLACE', 'OR REPLACE', 'OR IGNORE', 'OR FAIL', 'OR ABORT', '');

/** One or several statements that run together. */
export function changeArbitrary({columns, tables}: RandomTable): fc.Arbitrary<string> {
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
         INSERT OR IGNORE INTO t (${columns.join(', ')})
           SELECT ${columns.map((_, at) => `i * ${2 * at + 7} % 9973`).join(', ')} FROM n`,
  );
  const child = fc
    .tuple(conflict, value, value, column)
    .map(([or, one, other, name]) =>
      tables.includes('child')
        ? `INSERT ${or} INTO child (u0) VALUES (${one}); INSERT ${or} INTO child (u0) SELECT ${name} ` +
          `FROM t WHERE ${name} IS ${other}`
        : '',
    );
  const single = fc.oneof(
    {weight: 2, arbitrary: child},
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
  const settings = fc.constantFrom(
    'PRAGMA recursive_triggers = ON',
    'PRAGMA recursive_triggers = OFF',
    'PRAGMA foreign_keys = ON',
    'PRAGMA foreign_keys = ON',
    'PRAGMA foreign_keys = OFF',
    'VACUUM',
  );
  // A TEMP trigger, so bkp never sees it; it ends the work on a row before bkp's AFTER triggers.
  const hidden = fc
    .tuple(fc.constantFrom('INSERT', 'UPDATE', 'DELETE'), fc.constantFrom('t', ...tables))
    .map(
      ([event, table]) =>
        `DROP TRIGGER IF EXISTS temp.hide_${event}; CREATE TEMP TRIGGER hide_${event} AFTER ` +
        `${event} ON main.${table} BEGIN SELECT RAISE(IGNORE); END`,
    );
  const shown = fc
    .constantFrom('INSERT', 'UPDATE', 'DELETE')
    .map((event) => `DROP TRIGGER IF EXISTS temp.hide_${event}`);
  return fc.oneof(
    {weight: 12, arbitrary: single},
    {weight: 1, arbitrary: rolledBack},
    {weight: 2, arbitrary: settings},
    {weight: 1, arbitrary: hidden},
    {weight: 1, arbitrary: shown},
  );
}

/** Many random statements violate a constraint; the state after that is as good as any other. */
export function attempt(database: Database, sql: string): void {
  try {
    database.exec(sql);
  } catch {
    if (database.db.isTransaction) database.exec('ROLLBACK');
    database.exec('DROP TABLE IF EXISTS temp.kept');
  }
}
