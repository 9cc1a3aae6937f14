import {foldName} from '../engine/quote.ts';
import {generatedExpressions, wordsIn} from '../engine/sql-text.ts';
import type {Table, UniqueIndex} from './table.ts';

/** @returns why triggers cannot see every change of the table, in words; undefined when they can */
export function trackingObstacle(table: Table): string | undefined {
  const {key} = table;
  if (table.shadowOf !== undefined) {
    return 'a virtual table keeps its rows there, and SQLite allows no triggers on such tables';
  }
  if (key.kind === 'rowid' && key.column === undefined) {
    return 'it has no declared primary key: its rows are identified by rowids, and VACUUM changes these';
  }
  if (table.untrackable !== undefined) {
    return `it is too wide for the triggers that would track its changes: ${table.untrackable}`;
  }
  const late = key.kind === 'rowid' ? table.uniques.find((unique) => dependsOn(table, unique, key.column!)) : undefined;
  if (late !== undefined) {
    return (
      `its unique index ${late.name} computes with ${(key as {column: string}).column}, which SQLite ` +
      'chooses for a row only after triggers could find the row that it replaces'
    );
  }
  return undefined;
}

/** Whether one of the index's terms is computed, possibly from the column. */
export function dependsOn(table: Table, unique: UniqueIndex, column: string): boolean {
  const name = foldName(column);
  const generated = new Set(table.columns.filter((other) => other.generated).map((other) => foldName(other.name)));
  const byColumn = generated.size > 0 && wordsIn(generatedExpressions(table.sql)).has(name);
  return unique.terms.some((term) => {
    if (term.column !== undefined) return byColumn && generated.has(foldName(term.column));
    const words = wordsIn(term.expression);
    return words.has(name) || (byColumn && [...generated].some((other) => words.has(other)));
  });
}
