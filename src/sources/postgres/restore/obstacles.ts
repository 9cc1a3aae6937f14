import {BkpError} from '../../../errors/index.ts';
import type {MergeMode, TableSchema} from '../../source.ts';
import {findRelation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {hidesRows} from '../connection/errors.ts';
import {quoteIdent} from '../connection/quote.ts';
import {asIdent} from '../schema/rewrite.ts';
import {pairOf, type StoredTable, storedTables} from './stored.ts';

/**
 * Refuses a restore that would meet a relation of the same name: a table, or an index or sequence of it.
 * @throws BkpError `TABLE_EXISTS` naming all of them
 */
export async function requireFreeNames(connection: Connection, tables: readonly StoredTable[]): Promise<void> {
  const relations = tables.flatMap((table) => table.relations);
  if (relations.length === 0) return;
  const names = relations.map((relation) => pairOf(relation).map(quoteIdent).join('.'));
  const shown = new Map(names.map((name, at) => [name, pairOf(relations[at]!).map(asIdent).join('.')]));
  const rows = await connection.rows(
    'SELECT name FROM unnest(string_to_array($1, chr(1))) AS wanted (name) WHERE to_regclass(name) IS NOT NULL',
    [names.join('\u0001')],
  );
  if (rows.length === 0) return;
  throw new BkpError('TABLE_EXISTS', `path exist: ${rows.map(([name]) => `/Root/${shown.get(name!)}`).join(', ')}`, {
    cause: 'RESTORE creates its tables and changes no existing one; nothing was restored',
    next: 'restore into another database with --source, or drop or rename what is in the way',
  });
}

/**
 * Refuses a restore of tables that need the row type of another table, or a function or type that needs another table.
 * @param mode present: no table is created
 * @throws BkpError `PRECONDITION` naming it, if it is neither restored nor there
 */
export async function requireNeeded(
  connection: Connection,
  tables: readonly StoredTable[],
  mode?: MergeMode,
): Promise<void> {
  const restored = new Set(tables.map(({schema, table}) => `${asIdent(schema)}.${asIdent(table)}`));
  const names = tables.map(({name}) => name);
  for (const {name, needs = []} of tables) {
    for (const needed of needs) {
      if (mode === undefined && (names.includes(needed) || restored.has(needed))) continue;
      if ((await connection.value('SELECT to_regclass($1)', [needed])) !== undefined) continue;
      if (mode !== undefined) throw neededIsGone(connection, name, needed);
      throw new BkpError('PRECONDITION', `table ${name} needs the table ${needed}`, {
        cause: `${needed} is neither restored nor in ${connection.facts.place}`,
        next: `RESTORE … TABLE ${name}, TABLE ${needed}`,
        context: {table: name},
      });
    }
  }
}

/**
 * Refuses to change rows of living tables some of which the role does not see.
 * @throws BkpError `PRECONDITION` naming the tables
 */
export async function requireVisible(connection: Connection, names: readonly string[]): Promise<void> {
  const rows = await connection.rows(
    `SELECT name FROM pg_catalog.json_array_elements_text($1::pg_catalog.json) AS wanted (name)
      WHERE row_security_active(to_regclass(name))`,
    [JSON.stringify(names)],
  );
  if (rows.length > 0) throw hidesRows(rows.map(([name]) => name).join(', '), connection.facts.place);
}

function neededIsGone({facts}: Connection, name: string, needed: string): BkpError {
  return new BkpError('PRECONDITION', `rows of ${name} need the table ${needed}, which is not in ${facts.place}`, {
    cause: 'MODE changes rows, and creates no table',
    next: `restore both under other names (TABLE ${name} AS …, TABLE ${needed} AS …), and copy what you need`,
    context: {table: name},
  });
}

/** Those of `others` that these tables need, and that those need themselves. */
export function neededTables(schemas: readonly TableSchema[], others: readonly TableSchema[]): readonly TableSchema[] {
  const needs = new Map(storedTables([...schemas, ...others]).map(({name, needs: needed = []}) => [name, needed]));
  const found = new Set<string>();
  const open = schemas.flatMap(({name}) => needs.get(name)!);
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    open.push(...(needs.get(name) ?? []));
  }
  return others.filter(({name}) => found.has(name));
}

/** Why the server would refuse whatever a restore writes. */
export async function refusalOf(connection: Connection): Promise<BkpError | undefined> {
  const {place, inRecovery} = connection.facts;
  if (inRecovery) {
    return new BkpError('PRECONDITION', `${place} is a standby: nothing can be restored there`, {
      next: 'restore into its primary or another server: bkp --source postgres://HOST/DATABASE sql "RESTORE …"',
    });
  }
  if ((await connection.value('SHOW transaction_read_only')) !== 'on') return undefined;
  return new BkpError('PRECONDITION', `${place} is read-only for this role: nothing can be restored there`, {
    cause: 'default_transaction_read_only is on',
    next: 'ALTER ROLE … SET default_transaction_read_only = off, or restore as another role with --source',
  });
}

/** The first of the living tables that has no primary key. */
export async function withoutPrimaryKey(
  connection: Connection,
  schemas: readonly TableSchema[],
): Promise<string | undefined> {
  for (const {name} of schemas) {
    const relation = await findRelation(connection, name);
    if (relation !== undefined && !relation.hasPrimaryKey) return name;
  }
  return undefined;
}
