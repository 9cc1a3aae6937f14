import {BkpError} from '../../../errors/index.ts';
import type {Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';

/** Oids of all partitions, with the oid of their table in the collection. */
export type Partitions = ReadonlyMap<number, number>;

export async function partitionsOf(connection: Connection, relations: readonly Relation[]): Promise<Partitions> {
  const rootOf = new Map<number, number>();
  for (const {oid, kind} of relations) {
    if (kind !== 'partitioned') continue;
    for (const [part] of await connection.rows('SELECT relid::oid FROM pg_partition_tree($1) ORDER BY 1', [oid])) {
      rootOf.set(Number(part), oid);
    }
  }
  return rootOf;
}

/**
 * ATTACH PARTITION waits for no reader of the table. The rows of what joined are read with those of the table, but the
 * backup has no partition for them. A table that is younger than the snapshot has no rows in it.
 * @throws BkpError `SOURCE_LOCKED`
 */
export async function requireNoneJoined(
  connection: Connection,
  relations: readonly Relation[],
  rootOf: Partitions,
): Promise<void> {
  for (const {oid, kind, name} of relations) {
    if (kind !== 'partitioned') continue;
    // The function sees the present, the catalog is that of the snapshot.
    const rows = await connection.rows(
      `SELECT c.oid, c.oid::regclass FROM pg_partition_tree($1) tree JOIN pg_class c ON c.oid = tree.relid
        WHERE c.relkind <> 'p' ORDER BY 2`,
      [oid],
    );
    for (const [part, partName] of rows) {
      if (rootOf.has(Number(part))) continue;
      if ((await connection.value(`SELECT EXISTS (SELECT FROM ONLY ${partName})`)) !== 't') continue;
      throw new BkpError('SOURCE_LOCKED', `${partName} became a partition of ${name} while the backup read the table`, {
        next: 'give the statement again',
        context: {table: name},
        retryable: true,
      });
    }
  }
}
