import type {Connection} from '../engine/connection.ts';
import {foldName} from '../engine/quote.ts';
import type {Existing} from './rename.ts';

/** What the target of a restore has already. */
export function readExisting(connection: Connection): Existing {
  const rows = connection.all('SELECT type, name, rootpage, sql FROM main.sqlite_schema ORDER BY rowid');
  return {
    names: new Set(rows.map(({name}) => foldName(String(name)))),
    statements: rows.flatMap(({type, name, rootpage, sql}) =>
      typeof sql === 'string' && (type === 'view' || (type === 'table' && rootpage !== 0n))
        ? [{name: String(name), sql}]
        : [],
    ),
  };
}
