import type {SQLOutputValue} from 'node:sqlite';
import {BkpError} from '../errors/index.ts';
import {type Answer, shapeOf, shown} from './answer.ts';
import type {Catalogue, Value} from './catalogue.ts';
import {fill, openDatabase, tableOf} from './database.ts';
import {asFault, refusal} from './faults.ts';
import {guard, moreThanSelect} from './guard.ts';
import {type Rewritten, rewrite} from './rewrite.ts';

export type SelectOptions = {
  /** More rows than that are refused, not cut: nobody takes a part for the whole. */
  mostRows?: number;
  /** For the statement itself, without what the views take to come up with their rows. */
  withinMs?: number;
  /** A clock that never goes back. */
  nowMs?: () => number;
};

/** What a person can still look through is far less; a program that wants more has LIMIT and OFFSET. */
const mostRowsAtAll = 100_000;
/** A few thousand rows joined with themselves take less; a join that lacks its condition takes for ever. */
const longestMs = 30_000;
/** Reading a clock costs more than reading a row. */
const rowsBetweenLooks = 1000;

/**
 * Runs one SELECT on views, by SQLite itself in an empty database in memory: what SQLite's SELECT can, this can
 * (https://www.sqlite.org/lang_select.html). Nothing but the views can be read, and nothing written.
 * @param text with or without a final `;`
 * @throws BkpError `SYNTAX` SQLite's own words, with what there is | `UNSUPPORTED` what is more than reading views |
 *   `BAD_REQUEST` too many rows | `TIMEOUT`; and whatever a view throws
 */
export async function runSelect(text: string, catalogue: Catalogue, options: SelectOptions = {}): Promise<Answer> {
  const {mostRows = mostRowsAtAll, withinMs = longestMs, nowMs = () => performance.now()} = options;
  const {text: query, last} = sound(text, catalogue);
  const values = new Map<string, Value>();
  let endMs = Number.POSITIVE_INFINITY;
  let rowsRead = 0;
  const look = () => {
    if (++rowsRead % rowsBetweenLooks === 0 && nowMs() > endMs) throw tooLong(withinMs);
  };
  const database = openDatabase(catalogue, look, (name) => values.get(name) ?? null);
  const tables = new Set(Object.keys(catalogue.views).flatMap((name) => [name, tableOf(name)]));
  const heard = guard(database, tables);
  const orFault = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw asFault(error, query, heard, catalogue);
    }
  };
  try {
    const statement = orFault(() => database.prepare(query));
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);

    // Compiled, so it is known what it reads; whoever mistyped a column has waited for no store.
    database.setAuthorizer(null);
    for (const [name, view] of Object.entries(catalogue.views))
      if (heard.tables.has(tableOf(name))) await fill(database, name, view);
    for (const [name, scalar] of Object.entries(catalogue.scalars))
      if (heard.functions.has(name)) values.set(name, await scalar.value());
    guard(database, tables, heard);

    endMs = nowMs() + withinMs;
    const shape = shapeOf(statement, catalogue);
    const rows = orFault(() => {
      const found: Value[][] = [];
      // The types of node:sqlite do not follow setReturnArrays.
      for (const row of statement.iterate() as Iterable<unknown> as Iterable<SQLOutputValue[]>) {
        look();
        if (found.length === mostRows) throw tooManyRows(mostRows);
        found.push(row.map((value, at) => shown(value, shape[at]!)));
      }
      return found;
    });
    const from = last === undefined ? 0 : Math.max(0, rows.length - last);
    return {columns: shape.map(({name}) => name), rows: rows.slice(from)};
  } finally {
    database.close();
  }
}

/** What SQLite would not refuse by itself: it stops at a NUL and after the first `;`, and takes a parameter for NULL. */
function sound(text: string, catalogue: Catalogue): Rewritten {
  const rewritten = rewrite(text, namesOf(catalogue));
  const {isSelect, several, parameter} = rewritten;
  if (!isSelect) throw refusal(moreThanSelect, catalogue);
  const fault = (what: string, next?: string) =>
    new BkpError('SYNTAX', `the SELECT cannot be run: ${what}`, next === undefined ? {} : {next});
  if (text.includes('\0')) throw fault('it holds a NUL character');
  if (several) throw fault('something follows its ;');
  if (parameter === undefined) return rewritten;
  throw fault(
    `${parameter} stands for a value that nothing gives`,
    'write the value itself; text stands in single quotes',
  );
}

function namesOf({views, scalars}: Catalogue) {
  const bare = Object.entries(scalars).flatMap(([name, scalar]) => (scalar.bare ? [name] : []));
  return {views: new Set(Object.keys(views)), bare: new Set(bare)};
}

function tooLong(withinMs: number): BkpError {
  return new BkpError('TIMEOUT', `the SELECT did not end within ${withinMs / 1000} seconds`, {
    cause: 'it combines very many rows',
    next: 'give each join its condition: … FROM a() JOIN b() ON a.x = b.x',
  });
}

function tooManyRows(mostRows: number): BkpError {
  return new BkpError('BAD_REQUEST', `the SELECT has more than ${mostRows} rows`, {next: 'end it with LIMIT'});
}
