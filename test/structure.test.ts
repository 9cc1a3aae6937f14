import {execFileSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {dirname, join, relative, resolve, sep} from 'node:path';
import {expect, test} from 'vitest';
import {mutants} from './mutations/index.ts';
import {requireOneEdit} from './mutations/mutant.ts';

const root = resolve(import.meta.dirname, '..');
const src = join(root, 'src');

/** Every room may import these. */
const leaves = ['errors', 'lib'];

/** The other rooms that a room may import. */
const below: Record<string, readonly string[]> = {
  errors: [],
  lib: ['errors'],
  sql: [],
  query: [],
  config: [],
  schedule: [],
  stores: [],
  notify: ['config'],
  vault: ['stores'],
  sources: [],
  ops: [],
  backups: ['vault', 'stores', 'schedule'],
  collections: ['backups', 'sources', 'vault', 'stores', 'sql', 'schedule'],
  database: ['backups', 'sources', 'vault', 'stores', 'sql', 'schedule'],
  ui: ['ops'],
  app: [
    ...['notify', 'ops', 'collections', 'database', 'backups', 'sources', 'vault', 'stores', 'query', 'sql'],
    ...['config', 'schedule'],
  ],
  commands: [
    ...['app', 'notify', 'ui', 'ops', 'collections', 'database', 'backups', 'sources', 'vault', 'stores', 'query'],
    ...['sql', 'config', 'schedule'],
  ],
};

/**
 * The folders and files of a folder, lowest first: each may import only what is before it. Files are named
 * without their ending; those that are not named are contracts, below all others.
 */
const floors: Record<string, readonly string[]> = {
  app: [
    ...[
      'keeper',
      'deps',
      'places',
      'keys',
      'orders',
      'workers',
      'retention',
      'health',
      'schedules',
      'looking',
      'views',
    ],
    ...['statements', 'scheduler'],
  ],
  config: [
    ...['addresses', 'rate', 'notify-target', 'chosen-storage', 'home', 'kinds', 'table', 'file', 'store-file'],
    ...['profiles', 'settings', 'exposures', 'index'],
  ],
  'sources/postgres': [
    'rows',
    'connection',
    'catalog',
    'rights',
    'segments',
    'schema',
    'tracking',
    'snapshot',
    'restore',
    'scratch',
    'index',
  ],
  'sources/questdb': ['format', 'server', 'listing', 'restore', 'source', 'index'],
  ops: ['journal', 'worker', 'index'],
  vault: [
    'format',
    'crypto',
    'keys',
    'codec',
    'lease',
    'newest',
    'reseal',
    'indexes',
    'ledger',
    'read',
    'write',
    'care',
    'reader',
    'vault',
    'index',
  ],
  collections: ['stored', 'define', 'backup', 'restore', 'read', 'diff', 'copy', 'views', 'care', 'index'],
  database: ['stored', 'backup', 'restore', 'views', 'care', 'index'],
  sources: [
    ...[
      'origin',
      'source',
      'scratch',
      'take-rows',
      'file-source',
      'restored-database',
      'questdb',
      'sqlite',
      'postgres',
      'products',
    ],
    'index',
  ],
  'sources/sqlite': [
    ...['engine', 'schema', 'image', 'pages', 'rows', 'triggers', 'catalog', 'tracking', 'snapshot', 'layout'],
    ...['merge', 'restore', 'scratch', 'choice', 'file', 'index'],
  ],
  stores: [
    ...['key', 'object-errors', 'wrap-store', 'put-content', 'remove-if-allowed', 'memory', 'directory', 's3'],
    'index',
  ],
  'stores/s3': [
    'connection',
    'list',
    'unreadable',
    'get',
    'put',
    'object-lock',
    'delete',
    'stat',
    'bucket-settings',
    's3',
    'probe',
  ],
};

/** Rooms whose files are imported one by one, so that a command loads no more than it needs. */
const withoutDoor = ['lib', 'app'];

const files = readdirSync(src, {recursive: true, encoding: 'utf8'})
  .filter((file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts'))
  .map((file) => join(src, file));

const nameOf = (file: string) => relative(src, file);
const roomOf = (file: string) => (dirname(file) === src ? '' : nameOf(file).split(sep)[0]!);

/** Relative specifiers of a source text: `import … from`, `export … from`, `import '…'` and `import('…')`. */
const specifiersIn = (text: string) =>
  [...text.matchAll(/(?:\bfrom|\bimport\(|\bimport)\s*['"`](\.[^'"`]+)['"`]/g)].map((match) => match[1]!);

const imports = new Map(
  files.map((file) => [
    file,
    specifiersIn(readFileSync(file, 'utf8')).map((specifier) => resolve(dirname(file), specifier)),
  ]),
);

function arrows(): Arrow[] {
  return [...imports].flatMap(([from, targets]) =>
    targets.map((to) => ({from, to, name: `${nameOf(from)} -> ${nameOf(to)}`})),
  );
}

test('imports between rooms go down, and through the door', () => {
  const wrong: string[] = [];
  for (const {from, to, name} of arrows()) {
    const [upper, lower] = [roomOf(from), roomOf(to)];
    if (upper === '' || upper === lower) continue;
    const isDoor = to === join(src, lower, 'index.ts');
    if (lower === '' || !(below[upper]?.includes(lower) || leaves.includes(lower))) wrong.push(`${name}: upward`);
    else if (!withoutDoor.includes(lower) && !isDoor) wrong.push(`${name}: not the door`);
  }
  expect(wrong).toEqual([]);
});

/** The folder or file of `folder` that holds the file; undefined when it is elsewhere. */
function memberOf(folder: string, file: string): string | undefined {
  const path = relative(join(src, folder), file);
  return path.startsWith('..') ? undefined : path.split(sep)[0]!.replace(/\.tsx?$/, '');
}

type Arrow = {from: string; to: string; name: string};

/** The names of imports inside `folder` that do not go down `order`. */
function upwardIn(folder: string, order: readonly string[], all: readonly Arrow[]): string[] {
  return all
    .filter(({from, to}) => {
      const [upper, lower] = [memberOf(folder, from), memberOf(folder, to)];
      if (upper === undefined || lower === undefined || upper === lower) return false;
      return order.includes(lower) && order.indexOf(lower) >= order.indexOf(upper);
    })
    .map(({name}) => name);
}

test.each(Object.entries(floors))('imports inside %s go down its floors', (folder, order) => {
  expect(upwardIn(folder, order, arrows())).toEqual([]);
});

test.each([
  ['a lower floor imports a higher one', 'vault/format/header.ts', 'vault/codec/encode.ts', false],
  ['a floor imports the file above it', 'vault/care/verify.ts', 'vault/vault.ts', false],
  ['a floor imports the door', 'vault/write/writer.ts', 'vault/index.ts', false],
  ['a contract imports a floor', 'vault/types.ts', 'vault/format/hash.ts', false],
  ['a new file that no floor names imports a floor', 'vault/extra.ts', 'vault/read/closure.ts', false],
  ['a higher floor imports a lower one', 'vault/care/verify.ts', 'vault/read/closure.ts', true],
  ['a floor imports a contract', 'vault/format/hash.ts', 'vault/types.ts', true],
  ['a file imports its neighbour', 'vault/read/closure.ts', 'vault/read/recovery.ts', true],
])('the check of floors, when %s', (_, from, to, isAllowed) => {
  const arrow = {from: join(src, from), to: join(src, to), name: 'this one'};
  expect(upwardIn('vault', floors.vault!, [arrow])).toEqual(isAllowed ? [] : ['this one']);
});

test('every way to import a file is seen', () => {
  const text = [
    "import {a} from './a.ts';",
    "import type {b} from '../b.ts';",
    "import {\n  c,\n} from './c.ts';",
    "export * from './d.ts';",
    "import './e.ts';",
    "const f = await import('./f.ts');",
    "type G = import('./g.ts').G;",
    "import {h} from 'node:path';",
  ];
  const seen = ['./a.ts', '../b.ts', './c.ts', './d.ts', './e.ts', './f.ts', './g.ts'];
  expect(specifiersIn(text.join('\n'))).toEqual(seen);
});

test('no folder of vault holds more than 15 files', () => {
  const counts = new Map<string, number>();
  for (const file of files.filter((path) => roomOf(path) === 'vault')) {
    counts.set(dirname(nameOf(file)), (counts.get(dirname(nameOf(file))) ?? 0) + 1);
  }
  expect([...counts].filter(([, count]) => count > 15)).toEqual([]);
});

test.each(Object.entries(floors))('the floors of %s name all of its folders', (folder, order) => {
  const folders = readdirSync(join(src, folder), {withFileTypes: true}).filter((entry) => entry.isDirectory());
  expect(folders.map(({name}) => name).filter((name) => !order.includes(name))).toEqual([]);
});

test('the table of rooms names every room, and no other', () => {
  const rooms = new Set(files.map(roomOf).filter((room) => room !== ''));
  expect([...rooms].sort()).toEqual(Object.keys(below).sort());
});

test('no file imports itself through others', () => {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]) => {
    if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].map(nameOf).join(' -> '));
    if (path.includes(file) || done.has(file)) return;
    for (const target of imports.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(cycles).toEqual([]);
});

/**
 * Files that start a process or a thread, and the clock. Callers hand the clock and the environment to all
 * other files.
 */
const entries = ['main.ts', 'compose.ts', 'keeper-thread.ts', 'query/select-process.ts', 'lib/clock.ts'];

test('only entry files read the clock, the environment and randomness', () => {
  const found = files
    .filter((file) => !entries.includes(nameOf(file)))
    .filter((file) =>
      /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bprocess\.(env|cwd|exit)\b/.test(readFileSync(file, 'utf8')),
    )
    .map(nameOf);
  expect(found).toEqual([]);
});

test('no folder of the vault or the commands has more than 15 files', () => {
  const counts = Map.groupBy(
    files.filter((file) => ['vault', 'commands'].includes(roomOf(file))),
    (file) => dirname(file),
  );
  expect([...counts].filter(([, inside]) => inside.length > 15).map(([folder]) => nameOf(folder))).toEqual([]);
});

const tracked = execFileSync('git', ['ls-files'], {cwd: root, encoding: 'utf8'}).trim().split('\n');

test('no line of code is longer than 120 columns, comments included', () => {
  const long = tracked
    .filter((file) => /\.(ts|tsx|js)$/.test(file) && !file.startsWith('src/sql/grammar.'))
    .flatMap((file) =>
      readFileSync(join(root, file), 'utf8')
        .split('\n')
        .flatMap((line, at) => (line.length > 120 ? [`${file}:${at + 1}`] : [])),
    );
  expect(long).toEqual([]);
});

/** JSON that bkp or its engine has just made, and what no error leaves. */
const parsesItself: readonly string[] = [
  'app/orders/author.ts',
  'app/places/scratch-folder.ts',
  'backups/keep-report.ts',
  'commands/demo/run.ts',
  'main.ts',
  'sources/postgres/restore/continued.ts',
  'sources/postgres/restore/shared.ts',
  'sources/postgres/restore/staged-tables.ts',
  'sources/postgres/restore/stored.ts',
  'sources/postgres/scratch/script.ts',
  'sources/questdb/server/ephemeral.ts',
  'sources/questdb/server/http.ts',
  'sources/sqlite/restore/foreign-keys.ts',
  'vault/format/repair-header.ts',
  'vault/keys/change-keys.ts',
];

test('JSON that a store, a file or a person wrote is parsed without an error that quotes it', () => {
  const parsing = files.filter((file) => /\bJSON\.parse\(/.test(readFileSync(file, 'utf8'))).map(nameOf);
  expect(parsing.sort()).toEqual([...parsesItself, 'lib/json.ts'].sort());
});

test('each guard that test/mutations takes away is in the source once, in the words of the list', () => {
  for (const mutant of mutants) requireOneEdit(mutant);
});
