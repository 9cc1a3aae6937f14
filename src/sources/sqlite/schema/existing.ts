import type {Connection, Row} from '../engine/connection.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {foldName} from '../engine/quote.ts';
import {makeObject} from './objects.ts';

/** What the target of a restore has already. */
export type Existing = {
  /** Names of tables, views, indexes and triggers, folded. */
  names: ReadonlySet<string>;
  /** Its tables, virtual tables and views, which triggers and views may use. */
  objects: readonly {name: string; kind: 'table' | 'virtual' | 'view'; sql: string}[];
};

export const nothingExists: Existing = {names: new Set(), objects: []};

export function readExisting(connection: Connection): Existing {
  const rows = connection.all('SELECT type, name, rootpage, sql FROM main.sqlite_schema ORDER BY rowid');
  return {
    names: new Set(rows.map(({name}) => foldName(String(name)))),
    objects: rows.flatMap((row) => {
      const kind = kindOf(row);
      return kind === undefined ? [] : [{name: String(row.name), kind, sql: String(row.sql)}];
    }),
  };
}

function kindOf({type, name, rootpage}: Row): 'table' | 'virtual' | 'view' | undefined {
  if (type === 'view') return 'view';
  // SQLite creates its own tables itself.
  if (type !== 'table' || foldName(String(name)).startsWith('sqlite_')) return undefined;
  return rootpage === 0n ? 'virtual' : 'table';
}

/**
 * Creates the objects of a target in a database in memory. One that SQLite cannot create there, because it needs the
 * application, stays out: so does what needs it.
 * @param isFree whether it has no object of this name, and will get none
 */
export function makeExisting(scratch: Connection, {objects}: Existing, isFree: (name: string) => boolean): void {
  for (const {name, kind, sql} of objects) {
    if (!isFree(name)) continue;
    try {
      // As from a manifest: what another program wrote into the schema must do nothing else here.
      if (kind === 'table') runFromManifest(scratch, {what: 'table', table: name}, sql);
      else makeObject(scratch, {name, definition: {kind, sql, triggers: []}});
    } catch {}
  }
}
