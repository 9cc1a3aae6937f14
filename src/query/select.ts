import {BkpError} from '../errors/index.ts';
import {type Answer, shapeOf, shown} from './answer.ts';
import {runApart} from './apart.ts';
import type {Catalogue, Value} from './catalogue.ts';
import {collect, withinLimits} from './collect.ts';
import {fill, openDatabase, tableOf} from './database.ts';
import {asFault, refusal} from './faults.ts';
import {guard, moreThanSelect} from './guard.ts';
import {defaultLimits, type SelectLimits} from './limits.ts';
import {isQuick} from './quick.ts';
import {type Rewritten, rewrite} from './rewrite.ts';

export type SelectOptions = {
  limits?: Partial<SelectLimits>;
  /** Asked for when the rows of the views are there, and the statement may take its time. Ends it. */
  signal?: () => AbortSignal;
};

/**
 * Runs one SELECT on views, by SQLite itself in a database in memory: what SQLite's SELECT can, this can
 * (https://www.sqlite.org/lang_select.html). Nothing but the views can be read, and nothing written.
 * @param text with or without a final `;`
 * @throws BkpError `SYNTAX` SQLite's own words, with what there is | `UNSUPPORTED` what is more than reading views |
 *   `BAD_REQUEST` too many rows, or too much memory | `TIMEOUT` | `INTERRUPTED`; and whatever a view throws
 */
export async function runSelect(text: string, catalogue: Catalogue, options: SelectOptions = {}): Promise<Answer> {
  const limits = {...defaultLimits, ...options.limits};
  const {text: query, last} = sound(text, catalogue);
  const scalars = new Map<string, Value>();
  const database = openDatabase(catalogue, (name) => scalars.get(name) ?? null);
  const tables = new Set(Object.keys(catalogue.views).flatMap((name) => [name, tableOf(name)]));
  const heard = guard(database, tables);
  const fault = (error: unknown) => asFault(error, query, heard, catalogue);
  const orFault = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw fault(error);
    }
  };
  try {
    const statement = orFault(() => database.prepare(query));
    // Compiled, so it is known what it reads; whoever mistyped a column has waited for no store.
    database.setAuthorizer(null);
    for (const [name, view] of Object.entries(catalogue.views))
      if (heard.tables.has(tableOf(name))) await fill(database, name, view);
    for (const [name, scalar] of Object.entries(catalogue.scalars))
      if (heard.functions.has(name)) scalars.set(name, await scalar.value());

    const shape = shapeOf(statement, catalogue);
    const runHere = () => {
      guard(database, tables, heard);
      return orFault(() => collect(statement, limits));
    };
    const runElsewhere = () =>
      runApart({database: database.serialize(), query, tables, scalars, limits}, options.signal?.()).catch((error) => {
        throw fault(error);
      });
    const rows = isQuick(query, tables, heard, catalogue) ? withinLimits(runHere(), limits) : await runElsewhere();
    const from = last === undefined ? 0 : Math.max(0, rows.length - last);
    return {
      columns: shape.map(({name}) => name),
      rows: rows.slice(from).map((row) => row.map((value, at) => shown(value, shape[at]!))),
    };
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
