import {readFileSync} from 'node:fs';
import {expect} from 'vitest';
import {objectName} from '../../../src/sources/sqlite/engine/sql-text.ts';
import {definitionOf, indexFingerprint} from '../../../src/sources/sqlite/schema/schema.ts';
import type {Backup, RecordsBase} from '../layers.ts';
import type {Database} from './database.ts';
import {chunksOf} from './layout/target.ts';
import {type ReadTree, readTrees, varint} from './layout/trees.ts';

/** In bytes: small, so that small tables have several. */
const chunkBytes = 50_000;

/** The bases of a backup's tables as records, read by the tests' own reader: the database is as it was backed up. */
export function recordsOf(database: Database, {schemas}: Backup): Readonly<Record<string, RecordsBase>> {
  expect(readFileSync(database.path).readUInt8(18), 'a file without a WAL').toBe(1);
  const trees = new Map(readTrees(database.path).map((tree) => [tree.name, tree]));
  const automatic = database.db.prepare(
    `SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NULL ORDER BY rowid`,
  );
  return Object.fromEntries(
    schemas.map((schema) => {
      const names = [schema.name, ...automatic.all(schema.name).map(({name}) => String(name))];
      const created = definitionOf(schema).indexes.map((sql) => ({
        ...streamOf(trees.get(objectName(sql))!),
        fingerprint: indexFingerprint(sql),
      }));
      return [
        schema.name,
        {kind: 'base', form: 'records', trees: [...names.map((name) => streamOf(trees.get(name)!)), ...created]},
      ];
    }),
  );
}

function streamOf({name, kind, content}: ReadTree): RecordsBase['trees'][number] {
  const segments = chunksOf(chunkBytes)(content).map((bytes) => ({bytes, rows: countIn(bytes, kind)}));
  return {name, kind, segments, cuts: ''};
}

function countIn(chunk: Buffer, kind: 'rowid' | 'key'): number {
  let count = 0;
  for (let at = 0; at < chunk.length; count++) {
    const [bytes, payload] = varint(chunk, at);
    at = (kind === 'rowid' ? varint(chunk, payload)[1] : payload) + bytes;
  }
  return count;
}

/** The same backup with other bases; its deltas stay. */
export function withBases(backup: Backup, bases: Readonly<Record<string, RecordsBase>>): Backup {
  const layers = Object.entries(backup.layers).map(([name, [own, ...deltas]]) => [
    name,
    [bases[name] ?? own!, ...deltas],
  ]);
  return {...backup, layers: Object.fromEntries(layers)};
}
