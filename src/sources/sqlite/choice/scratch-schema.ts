import type {BackupParts} from '../../source.ts';
import {Connection} from '../engine/connection.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {makeObject, objectDefinitionOf} from '../schema/objects.ts';
import {definitionOf} from '../schema/schema.ts';

/**
 * The tables and virtual tables of a backup, empty and in memory: SQLite itself answers there which table belongs to
 * which. The caller closes it.
 */
export function scratchSchema({schemas, objects}: BackupParts): Connection {
  const connection = new Connection('the schema of the backup', {memory: true});
  try {
    for (const schema of schemas) {
      runFromManifest(connection, {what: 'table', table: schema.name}, definitionOf(schema).table);
    }
    for (const object of objects) {
      if (objectDefinitionOf(object).kind === 'virtual') makeObject(connection, object);
    }
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}
