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
 * function or collation in the schema). An index on all columns shows their collations, which no pragma reports.
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
    db.exec(`CREATE INDEX main._bkp_scratch ON ${quoteName(table)} (${columns.map(quoteName).join(', ')})`);
    const terms = db.prepare(
      `SELECT coll FROM pragma_index_xinfo('_bkp_scratch', 'main') WHERE key = 1 ORDER BY seqno`,
    );
    for (const [at, {coll}] of terms.all().entries()) collations.set(columns[at]!, String(coll));
    return {collations};
  } catch (error) {
    return {refusal: (error as Error).message, collations};
  } finally {
    db.close();
  }
}
