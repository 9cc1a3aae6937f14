import type {TableSchema} from '../../source.ts';
import {foldName} from '../engine/quote.ts';
import {normalized, objectName} from '../engine/sql-text.ts';
import {definitionOf} from '../schema/schema.ts';
import type {Column, Table} from '../schema/table.ts';

type Known = {table: Table; schema: TableSchema};

/** How a table's schema changed: columns, the rest of its statement, indexes, triggers; one phrase each. */
export function schemaChanges(before: Known, after: Known): readonly string[] {
  const [old, now] = [definitionOf(before.schema), definitionOf(after.schema)];
  const columns = columnChanges(before.table, after.table);
  const isOther = normalized(old.table) !== normalized(now.table);
  return [
    ...columns,
    ...(isOther && columns.length === 0 ? ['its CREATE TABLE statement changed'] : []),
    ...statementChanges(
      'index',
      [...old.indexes, ...(old.omittedIndexes ?? [])],
      [...now.indexes, ...(now.omittedIndexes ?? [])],
    ),
    ...statementChanges('trigger', old.triggers, now.triggers),
  ];
}

function columnChanges(before: Table, after: Table): readonly string[] {
  const [old, now] = [byName(before.columns), byName(after.columns)];
  return [
    ...[...old].flatMap(([name, column]) => (now.has(name) ? [] : [`column ${column.name} dropped`])),
    ...[...now].flatMap(([name, column]) => (old.has(name) ? [] : [`column ${column.name} added`])),
    ...[...old].flatMap(([name, column]) => {
      const {type = column.type} = now.get(name) ?? {};
      return type === column.type
        ? []
        : [`column ${column.name}: ${column.type || 'no type'}, now ${type || 'no type'}`];
    }),
  ];
}

const byName = (columns: readonly Column[]) => new Map(columns.map((column) => [foldName(column.name), column]));

function statementChanges(what: string, before: readonly string[], after: readonly string[]): readonly string[] {
  const [old, now] = [before, after].map((all) => new Map(all.map((sql) => [objectName(sql), normalized(sql)])));
  return [
    ...[...old!.keys()].filter((name) => !now!.has(name)).map((name) => `${what} ${name} dropped`),
    ...[...now!.keys()].filter((name) => !old!.has(name)).map((name) => `${what} ${name} added`),
    ...[...old!].filter(([name, sql]) => (now!.get(name) ?? sql) !== sql).map(([name]) => `${what} ${name} changed`),
  ];
}
