import {readdirSync, readFileSync} from 'node:fs';
import {dirname, join, relative, resolve, sep} from 'node:path';
import {expect, test} from 'vitest';

const src = resolve(import.meta.dirname, '../src');

/** Which rooms a room may import. Everything may import the leaves. */
const leaves = ['errors', 'lib'];
const below: Record<string, readonly string[]> = {
  errors: [],
  lib: [],
  sql: [],
  query: [],
  config: [],
  schedule: [],
  stores: [],
  notify: ['config'],
  vault: ['stores'],
  sources: [],
  ops: [],
  backups: ['vault'],
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

/** Rooms whose files are imported one by one, so that a command loads no more than it needs. */
const withoutDoor = ['lib', 'app'];

const files = readdirSync(src, {recursive: true, encoding: 'utf8'})
  .filter((file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts'))
  .map((file) => join(src, file));

const roomOf = (file: string) => {
  const parts = relative(src, file).split(sep);
  return parts.length === 1 ? '' : parts[0]!;
};

function imports(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((match) => resolve(dirname(file), match[1]!));
}

test('imports between rooms go down, and through the door', () => {
  const wrong: string[] = [];
  for (const file of files) {
    const from = roomOf(file);
    if (from === '') continue;
    for (const target of imports(file)) {
      const to = roomOf(target);
      if (to === from) continue;
      const arrow = `${relative(src, file)} -> ${relative(src, target)}`;
      if (to === '' || !(below[from]?.includes(to) || leaves.includes(to))) wrong.push(`${arrow}: upward`);
      else if (!withoutDoor.includes(to) && (!target.endsWith(`${sep}index.ts`) || dirname(target) !== join(src, to)))
        wrong.push(`${arrow}: not the door`);
    }
  }
  expect(wrong).toEqual([]);
});

test('every room of the table is there, and no other', () => {
  const rooms = new Set(files.map(roomOf).filter((room) => room !== ''));
  expect([...rooms].sort()).toEqual(Object.keys(below).sort());
});
