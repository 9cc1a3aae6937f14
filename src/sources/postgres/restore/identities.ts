import type {Connection} from '../connection/connection.ts';
import {quoteIdent} from '../connection/quote.ts';

/** A table with columns that take no value from an UPDATE: `GENERATED ALWAYS AS IDENTITY`. */
export type FixedColumns = {
  /** What stands behind ALTER TABLE. */
  living: string;
  columns: readonly string[];
};

/**
 * Runs `work` in a transaction in which these columns take the values that they are given. Nobody reads the tables
 * until it ends.
 */
export async function withFreeIdentities<T>(
  connection: Connection,
  tables: readonly FixedColumns[],
  work: () => Promise<T>,
): Promise<T> {
  const setAll = async (how: string) => {
    for (const {living, columns} of tables) {
      const changes = columns.map((column) => `ALTER ${quoteIdent(column)} SET GENERATED ${how}`);
      await connection.run(`ALTER TABLE ${living} ${changes.join(', ')}`);
    }
  };
  await setAll('BY DEFAULT');
  const result = await work();
  await setAll('ALWAYS');
  return result;
}
