import {readdirSync, readFileSync} from 'node:fs';
import {dirname, join, relative, resolve, sep} from 'node:path';
import {expect, test} from 'vitest';

const src = resolve(import.meta.dirname, '../src');

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
  backups: ['vault', 'stores'],
  collections: ['backups', 'sources', 'vault', 'stores', 'sql', 'schedule'],
  database: ['backups', 'sources', 'vault', 'stores', 'sql'],
  ui: ['ops'],
  app: [
    ...['notify', 'ui', 'ops', 'collections', 'database', 'backups', 'sources', 'vault', 'stores', 'query', 'sql'],
    ...['config', 'schedule'],
  ],
  commands: [
    ...['app', 'notify', 'ui', 'ops', 'collections', 'database', 'backups', 'sources', 'vault', 'stores', 'query'],
    ...['sql', 'config', 'schedule'],
  ],
};

/**
 * The folders and files of a folder, lowest first: each may import only what is before it. Files are named without their
 * ending; those that are not named are contracts, below all others.
 */
const floors: Record<string, readonly string[]> = {
  vault: ['format', 'codec', 'lease', 'indexes', 'read', 'write', 'care', 'reader', 'vault', 'index'],
  collections: ['stored', 'define', 'backup', 'restore', 'copy', 'views', 'care', 'index'],
  database: ['stored', 'backup', 'restore', 'views', 'care', 'index'],
};

/** Rooms whose files are imported one by one, so that a command loads no more than it needs. */
const withoutDoor = ['lib', 'app'];

const files = readdirSync(src, {recursive: true, encoding: 'utf8'})
  .filter((file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts'))
  .map((file) => join(src, file));

const nameOf = (file: string) => relative(src, file);
const roomOf = (file: string) => (dirname(file) === src ? '' : nameOf(file).split(sep)[0]!);

const imports = new Map(
  files.map((file) => {
    const text = readFileSync(file, 'utf8');
    const found = [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)];
    return [file, found.map((match) => resolve(dirname(file), match[1]!))];
  }),
);

function arrows(): {from: string; to: string; name: string}[] {
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

test.each(Object.entries(floors))('imports inside %s go down its floors', (folder, order) => {
  const wrong: string[] = [];
  for (const {from, to, name} of arrows()) {
    const [upper, lower] = [memberOf(folder, from), memberOf(folder, to)];
    if (upper === undefined || lower === undefined || upper === lower) continue;
    if (order.includes(lower) && order.indexOf(lower) >= order.indexOf(upper)) wrong.push(name);
  }
  expect(wrong).toEqual([]);
});

test.each(Object.entries(floors))('the floors of %s name all of its folders', (folder, order) => {
  const folders = readdirSync(join(src, folder), {withFileTypes: true}).filter((entry) => entry.isDirectory());
  expect(folders.map(({name}) => name).filter((name) => !order.includes(name))).toEqual([]);
});

test('the table of rooms names every room, and no other', () => {
  const rooms = new Set(files.map(roomOf).filter((room) => room !== ''));
  expect([...rooms].sort()).toEqual(Object.keys(below).sort());
});
