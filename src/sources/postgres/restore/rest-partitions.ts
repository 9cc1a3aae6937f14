import {BkpError} from '../../../errors/index.ts';
import {formatCount} from '../../../lib/figures.ts';
import type {TableName} from '../../source.ts';
import type {Connection} from '../connection/connection.ts';

// In a chain, rows of an older backup come first, and with them those of a partition that was detached or dropped
// since. They wait in a default partition until the increments have removed them.

/** Gives a staged table, and partitions of it that have some themselves, a default partition where there is none. */
export async function openRests(
  connection: Connection,
  table: {name: string /** How the names of the new partitions begin. */; rests: string},
): Promise<void> {
  const rows = await connection.rows(
    `SELECT tree.relid FROM pg_catalog.pg_partition_tree($1::text::regclass) tree
      JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = tree.relid AND p.partdefid = 0 AND p.partstrat <> 'h'
      ORDER BY 1`,
    [table.name],
  );
  for (const [at, [parent]] of rows.entries()) {
    await connection.run(`CREATE TABLE ${table.rests}_${at} PARTITION OF ${parent} DEFAULT`);
  }
}

/**
 * Drops these partitions when all changes were made.
 * @throws BkpError `OBJECT_DAMAGED` if one has rows
 */
export async function closeRests(
  connection: Connection,
  table: {name: string; rests: string; called: TableName},
): Promise<void> {
  const rows = await connection.rows(
    `SELECT tree.relid FROM pg_catalog.pg_partition_tree($1::text::regclass) tree
      WHERE starts_with(tree.relid::text, $2) ORDER BY 1`,
    [table.name, table.rests],
  );
  for (const [rest] of rows) {
    const left = Number(await connection.value(`SELECT count(*) FROM ${rest}`));
    if (left > 0) {
      throw new BkpError(
        'OBJECT_DAMAGED',
        `${formatCount(left, 'row')} of ${table.called} belong to none of its partitions`,
        {next: 'restore another backup, and report this', context: {table: table.called}},
      );
    }
    await connection.run(`DROP TABLE ${rest}`);
  }
}
