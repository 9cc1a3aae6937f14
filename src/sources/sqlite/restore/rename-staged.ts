import type {TableName, TableSchema} from '../../source.ts';
import {requireTable} from '../catalog/catalog.ts';
import type {Connection} from '../engine/connection.ts';
import {foldName} from '../engine/quote.ts';
import {editSchema} from '../engine/schema-table.ts';
import {objectName} from '../engine/sql-text.ts';
import {definitionOf} from '../schema/schema.ts';
import type {RestoredIndex} from './index-builder.ts';

/** Translates what was built under the names of the backup. */
export type StagedNames = {
  /** The statement of an index. */
  statement: (sql: string) => string;
  index: (index: RestoredIndex) => RestoredIndex;
};

/**
 * Gives tables in the staging file the names under which they are published, and their indexes too. The rows stay where
 * they are: only the schema changes, to the statements that SQLite computed for these names.
 */
export function renameStaged(
  connection: Connection,
  {schemas, published}: {schemas: readonly TableSchema[]; published: ReadonlyMap<TableName, TableSchema>},
): StagedNames {
  const statements = new Map<string, string>();
  const tables = new Map<string, string>();
  for (const schema of schemas) {
    const as = published.get(schema.name);
    if (as === undefined) continue;
    tables.set(foldName(schema.name), as.name);
    const [from, to] = [definitionOf(schema).indexes, definitionOf(as).indexes];
    for (const [at, sql] of from.entries()) statements.set(sql, to[at]!);
  }
  const statement = (sql: string) => statements.get(sql) ?? sql;
  const newTable = (name: string) => tables.get(foldName(name));
  if (tables.size > 0) edit(connection, {schemas, published, statement, newTable});
  return {
    statement,
    index: (index) => {
      const {table, name, sql} = index;
      const to = newTable(table.name);
      if (to === undefined) return index;
      const renamed = sql === undefined ? constraintIndex(name, table.name, to) : objectName(statement(sql));
      return {table: requireTable(connection, to), name: renamed, ...(sql === undefined ? {} : {sql: statement(sql)})};
    },
  };
}

function edit(
  connection: Connection,
  {
    schemas,
    published,
    statement,
    newTable,
  }: {
    schemas: readonly TableSchema[];
    published: ReadonlyMap<TableName, TableSchema>;
    statement: (sql: string) => string;
    newTable: (name: string) => string | undefined;
  },
): void {
  const ofTables = new Map(schemas.map(({name}) => [foldName(name), published.get(name)] as const));
  const rows = connection.all('SELECT rowid, type, name, tbl_name, sql FROM main.sqlite_schema').flatMap((row) => {
    const [name, table] = [String(row.name), String(row.tbl_name)];
    const as = newTable(table);
    if (as === undefined) return [];
    const put = (newName: string, sql: string | null) => [{rowid: row.rowid!, name: newName, table: as, sql}];
    if (row.type === 'table') return put(as, definitionOf(ofTables.get(foldName(table))!).table);
    if (typeof row.sql !== 'string') return put(constraintIndex(name, table, as), null);
    const sql = statement(row.sql);
    return put(objectName(sql), sql);
  });
  editSchema(connection, () => {
    for (const {rowid, name, table, sql} of rows) {
      connection.run(
        'UPDATE main.sqlite_schema SET name = ?, tbl_name = ?, sql = ? WHERE rowid = ?',
        name,
        table,
        sql,
        rowid,
      );
    }
  });
  // The counters come from the backup at the end, under the new names.
  if (connection.number(`SELECT count(*) FROM main.sqlite_schema WHERE name = 'sqlite_sequence'`) === 0) return;
  for (const {name} of schemas) {
    if (newTable(name) !== undefined) connection.run('DELETE FROM main.sqlite_sequence WHERE name = ?', name);
  }
}

/** SQLite names the index of a constraint after its table: `sqlite_autoindex_orders_1`. */
function constraintIndex(name: string, table: string, as: string): string {
  const prefix = 'sqlite_autoindex_';
  return `${prefix}${as}${name.slice(prefix.length + table.length)}`;
}
