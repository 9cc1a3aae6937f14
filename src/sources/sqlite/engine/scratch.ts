import {DatabaseSync} from 'node:sqlite';
import {quoteName} from './quote.ts';

export type ScratchFacts = {
  /** Why bkp's SQLite cannot create the table; absent when it can. */
  refusal?: string;
  /** A column's own collation, by name. */
  collations: ReadonlyMap<string, string>;
};

/**
 * Creates the table in memory, empty: a statement that fails here would fail in a restore (an application's own
 * function or collation in the schema). An index on each column shows its collation, which no pragma reports.
 */
export function tryInScratch(
  table: string,
  sql: string,
  indexes: readonly {sql: string}[],
  columns: readonly string[],
): ScratchFacts {
  const collations = new Map<string, string>();
  const db = new DatabaseSync(':memory:', {enableForeignKeyConstraints: false, enableDoubleQuotedStringLiterals: true});
  try {
    db.prepare(sql).run();
    for (const index of indexes) db.prepare(index.sql).run();
    // Compiles every CHECK, generated column and index expression.
    db.prepare(`INSERT INTO main.${quoteName(table)} DEFAULT VALUES`);
    const collationOf = db.prepare(`SELECT coll FROM pragma_index_xinfo('_bkp_scratch', 'main') WHERE key = 1`);
    for (const column of columns) {
      db.exec(`CREATE INDEX main._bkp_scratch ON ${quoteName(table)}(${quoteName(column)})`);
      collations.set(column, String(collationOf.get()?.coll));
      db.exec('DROP INDEX main._bkp_scratch');
    }
    return {collations};
  } catch (error) {
    return {refusal: (error as Error).message, collations};
  } finally {
    db.close();
  }
}
