import type {SchemaObject, TableSchema} from '../../source.ts';
import type {Connection, Row} from '../engine/connection.ts';
import {objectName} from '../engine/sql-text.ts';
import {objectDefinitionOf} from '../schema/objects.ts';
import {definitionOf} from '../schema/schema.ts';

/** SQLite keeps the names of triggers apart: a trigger may be called like a table, a view or an index. */
export type CreatedNames = {triggers: readonly string[]; others: readonly string[]};

/** What tables bring besides themselves. */
export function namesOfParts(schemas: readonly TableSchema[]): CreatedNames {
  const definitions = schemas.map(definitionOf);
  return {
    triggers: definitions.flatMap(({triggers}) => triggers.map(objectName)),
    others: definitions.flatMap(({indexes}) => indexes.map(objectName)),
  };
}

/** All names of tables, with their parts, and of objects. */
export function namesOfAll(schemas: readonly TableSchema[], objects: readonly SchemaObject[]): CreatedNames {
  const {triggers, others} = namesOfParts(schemas);
  return {
    triggers: [...triggers, ...objects.flatMap((object) => objectDefinitionOf(object).triggers.map(objectName))],
    others: [...others, ...[...schemas, ...objects].map(({name}) => name)],
  };
}

/** @returns `type`, `name` and `tbl_name` of everything in the database that has one of these names */
export function namesInTheWay(connection: Connection, {triggers, others}: CreatedNames): Row[] {
  return connection.all(
    `SELECT s.type, s.name, s.tbl_name FROM main.sqlite_schema AS s
     WHERE s.name COLLATE NOCASE IN (SELECT value FROM json_each(iif(s.type = 'trigger', ?1, ?2)))`,
    JSON.stringify(triggers),
    JSON.stringify(others),
  );
}
