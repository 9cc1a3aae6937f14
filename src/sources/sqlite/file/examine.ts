import {BkpError} from '../../../errors/index.ts';
import type {FileCheck} from '../../file-source.ts';
import {knownTableNames} from '../catalog/catalog.ts';
import type {Connection} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import {fullCheck} from './quick-check.ts';

/** `dangling`: rows whose foreign keys refer to no row, one line for each pair of tables. */
export type Examined = {
  check: FileCheck;
  dangling: readonly string[];
  tables: readonly {name: string; rows: number}[];
};

/** Everything that SQLite can check in a file: `integrity_check`, `foreign_key_check`, and the rows of each table. */
export function examine(connection: Connection): Examined {
  const check = fullCheck(connection);
  const [dangling, tables]: [string[], {name: string; rows: number}[]] = [[], []];
  const unchecked = [...check.unchecked];
  const damage = [...check.damage];
  for (const name of knownTableNames(connection)) {
    try {
      tables.push({name, rows: Number(connection.value(`SELECT count(*) FROM main.${quoteName(name)}`))});
      dangling.push(...danglingIn(connection, name));
    } catch (error) {
      const {message} = error as Error;
      if (error instanceof BkpError && error.code === 'SOURCE_DAMAGED') damage.push(`table ${name}: ${message}`);
      else unchecked.push(`table ${name} (${message})`);
    }
  }
  return {check: {...check, damage, unchecked: [...new Set(unchecked)]}, dangling, tables};
}

function danglingIn(connection: Connection, name: string): string[] {
  const parents = new Map<string, number>();
  for (const [, , parent] of connection.iterate(`PRAGMA main.foreign_key_check(${quoteName(name)})`)) {
    parents.set(String(parent), (parents.get(String(parent)) ?? 0) + 1);
  }
  return [...parents].map(([parent, rows]) => `${rows} of ${name} to ${parent}`);
}
