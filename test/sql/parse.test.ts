import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {type BackupRef, backupRef, isComplete, keywords, parse} from '../../src/sql/index.ts';

const n = (text: string) => expect.objectContaining({text});
const cluster = {key: 'STORAGE', value: 'cluster'};
const create = {kind: 'create-collection', ifNotExists: false, settings: [cluster]};
const alter = {kind: 'alter-collection', name: n('c')};

test.each<[string, object]>([
  // YS01, YS02, YS07
  [
    'CREATE BACKUP COLLECTION `shop` ( TABLE `/Root/orders`, TABLE `/Root/products` ) WITH ( ' +
      "STORAGE = 'cluster', INCREMENTAL_BACKUP_ENABLED = 'true' );",
    {
      ...create,
      name: n('shop'),
      members: {kind: 'tables', tables: [n('/Root/orders'), n('/Root/products')]},
      settings: [cluster, {key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}],
    },
  ],
  [
    'CREATE BACKUP COLLECTION c ( TABLE someTable, TABLE `prefix/anotherTable` ) WITH ( STORAGE="cluster" );',
    {...create, name: n('c'), members: {kind: 'tables', tables: [n('someTable'), n('prefix/anotherTable')]}},
  ],
  [
    "CREATE BACKUP COLLECTION c ( TABLE orders ) WITH ( STORAGE='cluster', );",
    {...create, name: n('c'), members: {kind: 'tables', tables: [n('orders')]}},
  ],
  [
    "create backup collection if not exists c database with (storage='cluster')",
    {...create, name: n('c'), ifNotExists: true, members: {kind: 'database'}},
  ],
  [
    "CREATE BACKUP COLLECTION c DATABASE except (TABLE a, TABLE main.b) WITH (STORAGE='cluster')",
    {...create, name: n('c'), members: {kind: 'database', except: [n('a'), n('main.b')]}},
  ],
  ["CREATE BACKUP COLLECTION c WITH (STORAGE='cluster')", {...create, name: n('c')}],
  // Keywords may be names.
  ["CREATE BACKUP COLLECTION if WITH (STORAGE='cluster')", {...create, name: n('if')}],
  ["CREATE BACKUP COLLECTION with WITH (STORAGE='cluster')", {...create, name: n('with')}],
  [
    "CREATE BACKUP COLLECTION database DATABASE WITH (STORAGE='cluster')",
    {...create, name: n('database'), members: {kind: 'database'}},
  ],
  [
    "CREATE BACKUP COLLECTION c (TABLE table, TABLE main.orders, TABLE `main`.`a.b`) WITH (STORAGE='cluster')",
    {...create, name: n('c'), members: {kind: 'tables', tables: [n('table'), n('main.orders'), n('main.a.b')]}},
  ],
  [
    `CREATE BACKUP COLLECTION \`a\`\`b\\n\` WITH (STORAGE='cluster', X = 'it''s', Y = "a""b")`,
    {...create, name: n('a`b\\n'), settings: [cluster, {key: 'X', value: "it's"}, {key: 'Y', value: 'a"b'}]},
  ],
  [
    "ALTER BACKUP COLLECTION c SET (A='1', b='2'), RESET (d, e)",
    {
      ...alter,
      actions: [
        {
          kind: 'set',
          settings: [
            {key: 'A', value: '1'},
            {key: 'B', value: '2'},
          ],
        },
        {kind: 'reset', keys: ['D', 'E']},
      ],
    },
  ],
  [
    'ALTER BACKUP COLLECTION c ADD TABLE a, DROP TABLE main.b, ADD DATABASE, ADD DATABASE EXCEPT (TABLE a), ' +
      'DROP DATABASE',
    {
      ...alter,
      actions: [
        {kind: 'add-table', table: n('a')},
        {kind: 'drop-table', table: n('main.b')},
        {kind: 'add-database'},
        {kind: 'add-database', except: [n('a')]},
        {kind: 'drop-database'},
      ],
    },
  ],
  ['DROP BACKUP COLLECTION c', {kind: 'drop-collection', name: n('c'), ifExists: false, settings: []}],
  ['DROP BACKUP COLLECTION IF EXISTS c', {kind: 'drop-collection', name: n('c'), ifExists: true, settings: []}],
  [
    "DROP BACKUP c AT 'x' WITH (DRY_RUN='true')",
    {kind: 'drop-backup', backup: {collection: n('c'), point: 'x'}, settings: [{key: 'DRY_RUN', value: 'true'}]},
  ],
  ["DROP DATABASE BACKUP 'x'", {kind: 'drop-database-backup', timestamp: 'x', settings: []}],
  ['PIN BACKUP `c/x`', {kind: 'pin', backup: {collection: n('c/x')}, settings: []}],
  [
    "PIN DATABASE BACKUP 'x' UNTIL 'y' WITH (REASON='z')",
    {kind: 'pin-database', timestamp: 'x', until: 'y', settings: [{key: 'REASON', value: 'z'}]},
  ],
  ["UNPIN BACKUP c AT 'x'", {kind: 'unpin', backup: {collection: n('c'), point: 'x'}}],
  ["UNPIN DATABASE BACKUP 'x'", {kind: 'unpin-database', timestamp: 'x'}],
  ['DROP BACKUP COLLECTION ``', {kind: 'drop-collection', name: n(''), ifExists: false, settings: []}],
  ['BACKUP c', {kind: 'backup', collection: n('c'), type: 'full', settings: []}],
  ['BACKUP c INCREMENTAL', {kind: 'backup', collection: n('c'), type: 'incremental', settings: []}],
  [
    "BACKUP c INCREMENTAL WITH (ADOPT = 'true')",
    {kind: 'backup', collection: n('c'), type: 'incremental', settings: [{key: 'ADOPT', value: 'true'}]},
  ],
  [
    "BACKUP DATABASE WITH (ADOPT = 'one-two-three')",
    {kind: 'backup-database', settings: [{key: 'ADOPT', value: 'one-two-three'}]},
  ],
  ['BACKUP c INCREMENTAL or full', {kind: 'backup', collection: n('c'), type: 'incremental-or-full', settings: []}],
  ['BACKUP incremental', {kind: 'backup', collection: n('incremental'), type: 'full', settings: []}],
  ['BACKUP`database`', {kind: 'backup', collection: n('database'), type: 'full', settings: []}],
  ['BACKUP databases', {kind: 'backup', collection: n('databases'), type: 'full', settings: []}],
  ['BACKUP größe_1', {kind: 'backup', collection: n('größe_1'), type: 'full', settings: []}],
  ['RESTORE c', {kind: 'restore', backup: {collection: n('c')}, settings: []}],
  [
    "RESTORE c AT '20250215120000Z'",
    {kind: 'restore', backup: {collection: n('c'), point: '20250215120000Z'}, settings: []},
  ],
  [
    'RESTORE `c/20250215120000Z_full`',
    {kind: 'restore', backup: {collection: n('c/20250215120000Z_full')}, settings: []},
  ],
  [
    "RESTORE c AT '-1 day' INTO SCHEMA 'it''s'",
    {kind: 'restore', backup: {collection: n('c'), point: '-1 day'}, schema: "it's", settings: []},
  ],
  [
    "RESTORE c TABLE orders AS as, TABLE table, main.x AT '-1 day' INTO './new.db' WITH (CHECK='full')",
    {
      kind: 'restore',
      backup: {collection: n('c'), point: '-1 day'},
      tables: [{table: n('orders'), as: n('as')}, {table: n('table')}, {table: n('main.x')}],
      target: './new.db',
      settings: [{key: 'CHECK', value: 'full'}],
    },
  ],
  ["COPY BACKUP COLLECTION c TO 's3'", {kind: 'copy', backup: {collection: n('c')}, target: 's3'}],
  [
    "copy backup collection c AT 'x' TO 'cluster'",
    {kind: 'copy', backup: {collection: n('c'), point: 'x'}, target: 'cluster'},
  ],
  ['VERIFY c', {kind: 'verify', backup: {collection: n('c')}, settings: []}],
  [
    "VERIFY c AT 'x' WITH (LEVEL='structure')",
    {kind: 'verify', backup: {collection: n('c'), point: 'x'}, settings: [{key: 'LEVEL', value: 'structure'}]},
  ],
  ['SHOW BACKUP COLLECTIONS', {kind: 'show-collections'}],
  ['SELECT status FROM operations() LIMIT 1;', {kind: 'select'}],
  ['select\';\'"FROM"`;`-1/* ; */+[x]', {kind: 'select'}],
  ['show backups in c', {kind: 'show-backups', collection: n('c')}],
])('%s', (text, expected) => {
  expect(parse(text)).toEqual([{...expected, text: text.replace(/;$/, ''), place: {line: 1, column: 1}}]);
});

test.each<[string, object]>([
  ['RESTORE ^', {kind: 'restore', settings: []}],
  ['VERIFY ^', {kind: 'verify', settings: []}],
  ["COPY BACKUP COLLECTION ^ TO 's3'", {kind: 'copy', target: 's3'}],
  ['DROP BACKUP ^', {kind: 'drop-backup', settings: []}],
  ['PIN BACKUP ^', {kind: 'pin', settings: []}],
  ['UNPIN BACKUP ^', {kind: 'unpin'}],
])('a backup has every spelling in %s', (text, expected) => {
  const body = (backup: string) => parse(text.replace('^', backup))[0];
  for (const c of ['c', '`c`', "'c'", '"c"']) {
    expect(body(c)).toMatchObject({...expected, backup: {collection: n('c')}});
    for (const latest of ['latest', "'latest'", '`latest`', 'LATEST'])
      expect(body(`${c} AT ${latest}`)).toMatchObject({
        ...expected,
        backup: {point: expect.stringMatching(/^latest$/i)},
      });
    for (const x of ["'x'", '`x`', '"x"']) expect(body(`${c} AT ${x}`)).toMatchObject({backup: {point: 'x'}});
  }
  for (const whole of ["'c/x'", '`c/x`', '"c/x"']) {
    const {backup} = body(whole) as {backup: BackupRef};
    expect(backupRef(backup, 0)).toEqual({collection: 'c', point: 'x'});
  }
});

test.each([
  "RESTORE DATABASE TO TIMESTAMP ^ INTO 'x'",
  "RESTORE DATABASE AT ^ INTO 'x'",
  'VERIFY DATABASE TO TIMESTAMP ^',
  'VERIFY DATABASE AT ^',
  'DROP DATABASE BACKUP ^',
  'PIN DATABASE BACKUP ^',
  'UNPIN DATABASE BACKUP ^',
])('a backup of a database has every spelling in %s', (text) => {
  const timestamp = (written: string) => (parse(text.replace('^', written))[0] as {timestamp?: string}).timestamp;
  expect(["'x'", '`x`', '"x"', 'latest', 'LATEST'].map(timestamp)).toEqual(['x', 'x', 'x', 'latest', 'latest']);
});

test('the whole DATABASE may be in parentheses, as tables are', () => {
  const members = (text: string) =>
    (parse(`CREATE BACKUP COLLECTION c ${text} WITH (STORAGE='cluster')`)[0] as {members: unknown}).members;
  expect(members('(DATABASE)')).toEqual(members('DATABASE'));
  expect(members('( DATABASE EXCEPT (TABLE a) )')).toEqual({kind: 'database', except: [n('a')]});
});

test('LATEST may be a name', () => {
  expect(parse('RESTORE latest AT latest')).toMatchObject([{backup: {collection: n('latest'), point: 'latest'}}]);
});

test('parse() splits a script with comments and empty statements, and records positions', () => {
  const script =
    ';; -- BACKUP no;\nBACKUP a; /* ; BACKUP no */ BACKUP /* inside */ b\n  ;;\r\n\tSHOW BACKUP COLLECTIONS -- the end';
  expect(parse(script).map(({text, place}) => ({text, place}))).toEqual([
    {text: 'BACKUP a', place: {line: 2, column: 1}},
    {text: 'BACKUP /* inside */ b', place: {line: 2, column: 29}},
    {text: 'SHOW BACKUP COLLECTIONS', place: {line: 4, column: 2}},
  ]);
});

test('a SELECT ends at the first ; outside of strings, names and comments, without trailing white space', () => {
  const script = 'SELECT \';\' -- ; no\n, ";" /* ; */ FROM `;` -- the end\n; BACKUP a;SELECT 1/2;';
  expect(parse(script).map(({text}) => text)).toEqual([
    'SELECT \';\' -- ; no\n, ";" /* ; */ FROM `;`',
    'BACKUP a',
    'SELECT 1/2',
  ]);
});

test.each(['', ' \n\t', ';', ' ; ;; ', '-- only a comment', '/* only a comment */;', '\ufeff'])(
  '%j is no statement',
  (text) => {
    expect(parse(text)).toEqual([]);
  },
);

test('names have positions', () => {
  expect(parse('BACKUP\n  shop')[0]).toMatchObject({collection: {text: 'shop', place: {line: 2, column: 3}}});
});

test.each([
  ['BACKUP c;', true],
  ['BACKUP c; -- done;', true],
  ['BACKUP c; /* done */ \n', true],
  ['no statement at all;', true],
  ['BACKUP c', false],
  ['', false],
  ["RESTORE c AT 'x;", false],
  ["RESTORE c AT 'it''s;", false],
  ["SELECT ';'", false],
  ["SELECT ';';", true],
  ['BACKUP `c;', false],
  ['BACKUP c -- ;', false],
  ['BACKUP c /* ;', false],
  ['BACKUP a; BACKUP b', false],
])('isComplete(%j) is %s', (text, complete) => {
  expect(isComplete(text)).toBe(complete);
});

test('keywords for completion are the keywords of the grammar', () => {
  const grammar = readFileSync(join(import.meta.dirname, '../../src/sql/grammar.peggy'), 'utf8');
  const rules = [...grammar.matchAll(/^([A-Z]+) "\1" = "\1"i !WordPart$/gm)].map((match) => match[1]);
  expect(keywords).toEqual(rules);
  expect(keywords).toEqual([...keywords].sort());
});

test('a long script takes time proportional to its length', () => {
  const script = 'BACKUP a_collection INCREMENTAL;\n'.repeat(20_000);
  expect(parse(script)).toHaveLength(20_000);
  expect(parse(`SELECT ${"a, 'b', ".repeat(100_000)} 1`)).toHaveLength(1);
});
