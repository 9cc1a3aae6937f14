import type {DatabaseSync} from 'node:sqlite';
import {BkpError} from '../errors/index.ts';
import {hasReplaced} from '../lib/replaced-text.ts';
import {type Answer, shapeOf, shown} from './answer.ts';
import {runApart} from './apart.ts';
import {type Attached, type AttachedFile, attachEmpty, attachLoaded, encodingOf} from './attached.ts';
import {backupTablesIn, commonTablesIn} from './backup-tables.ts';
import type {Catalogue, OpenedTables, Value} from './catalogue.ts';
import {collect, withinLimits} from './collect.ts';
import {fill, openDatabase, tableOf} from './database.ts';
import {asFault, refusal} from './faults.ts';
import {guard, moreThanSelect} from './guard.ts';
import {defaultLimits, type SelectLimits} from './limits.ts';
import {isQuick} from './quick.ts';
import {type Rewritten, rewrite} from './rewrite.ts';

export type SelectOptions = {
  limits?: Partial<SelectLimits>;
  /** Aborts the statement. Called after the rows of the views are read, and only for a statement that may take long. */
  signal?: () => AbortSignal;
};

/**
 * Runs one SELECT on views with SQLite, in a database in memory: everything that SQLite's SELECT supports works
 * (https://www.sqlite.org/lang_select.html). It can read only the views, and cannot write.
 * @param text with or without a final `;`
 * @throws BkpError `SYNTAX` with SQLite's message and the available views | `UNSUPPORTED` for more than reading views |
 *   `BAD_REQUEST` for too many rows or too much memory | `TIMEOUT` | `INTERRUPTED`; and the errors of the views
 */
export async function runSelect(text: string, catalogue: Catalogue, options: SelectOptions = {}): Promise<Answer> {
  sound(text, catalogue);
  const wanted = backupTablesIn(text);
  if (wanted.length === 0) return runOn(text, catalogue, options);
  if (catalogue.backups === undefined) throw refusal('a table of a backup', catalogue);
  const opened = await catalogue.backups(wanted);
  try {
    return await runOn(text, catalogue, {...options, opened});
  } finally {
    await opened.close();
  }
}

/** Above this, reading the tables of backups may take long, and is done in another process. */
const quickBytes = 64 * 2 ** 20;

type RunOptions = SelectOptions & {opened?: OpenedTables};

async function runOn(text: string, catalogue: Catalogue, {opened, ...options}: RunOptions): Promise<Answer> {
  const limits = {...defaultLimits, ...options.limits};
  const scalars = new Map<string, Value>();
  const {database, attached, oldTexts} = openWith(catalogue, opened, (name) => scalars.get(name) ?? null);
  const {text: query, last, written} = sound(text, catalogue, attached?.written);
  const own = Object.keys(catalogue.views).flatMap((name) => [name, tableOf(name)]);
  const tables = new Set([...own, ...(attached?.names ?? []), ...commonTablesIn(text)]);
  const accesses = guard(database, tables, undefined, withoutRowids(opened, attached));
  const fault = (error: unknown) => asFault(error, query, accesses, {...catalogue, opened: opened?.tables});
  const orFault = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw fault(error);
    }
  };
  try {
    let statement = orFault(() => database.prepare(query));
    // The statement is compiled, so bkp knows what it reads; a mistyped column fails before a store is opened.
    database.setAuthorizer(null);
    for (const [name, view] of Object.entries(catalogue.views))
      if (accesses.tables.has(tableOf(name))) await fill(database, name, view);
    for (const [name, scalar] of Object.entries(catalogue.scalars))
      if (accesses.functions.has(name)) scalars.set(name, await scalar.value());
    let files: readonly AttachedFile[] = [];
    let bytes = 0;
    if (opened !== undefined) {
      const loaded = [];
      for (const one of opened.databases) loaded.push(await one.load());
      bytes = loaded.reduce((sum, one) => sum + one.bytes, 0);
      const paths = loaded.map(({path}) => path);
      files = attachLoaded(database, {opened, names: attached!.names, paths});
      statement = orFault(() => database.prepare(query));
    }

    const shape = shapeOf(statement, catalogue, written);
    const runHere = () => {
      guard(database, tables, accesses);
      return orFault(() => collect(statement, limits));
    };
    const runElsewhere = () => {
      const question = {database: database.serialize(), query, tables, scalars, limits, files, oldTexts};
      return runApart(question, options.signal?.()).catch((error) => {
        throw fault(error);
      });
    };
    const isHere = bytes <= quickBytes && isQuick(query, tables, accesses, catalogue);
    const rows = isHere ? withinLimits(runHere(), limits) : await runElsewhere();
    const from = last === undefined ? 0 : Math.max(0, rows.length - last);
    const answer = rows.slice(from);
    const replaced = opened === undefined ? 0 : answer.filter(hasReplaced).length;
    return {
      columns: shape.map(({name}) => name),
      rows: answer.map((row) => row.map((value, at) => shown(value, shape[at]!))),
      ...(replaced === 0 ? {} : {replaced}),
    };
  } finally {
    database.close();
  }
}

/** By the names that the tables have in the statement's database. A column that is called ROWID is read instead. */
function withoutRowids(opened: OpenedTables | undefined, attached: Attached | undefined): ReadonlyMap<string, string> {
  const hidden = new Map<string, string>();
  for (const [at, {name, columns, keepsRowids}] of opened?.tables.entries() ?? [])
    if (!keepsRowids && !columns.includes('ROWID')) hidden.set(attached!.names[at]!, name);
  return hidden;
}

/** The database of the statement; with texts in double quotes only if a schema of a backup needs them. */
function openWith(
  catalogue: Catalogue,
  opened: OpenedTables | undefined,
  scalar: (name: string) => Value,
): {database: DatabaseSync; attached: Attached | undefined; oldTexts: boolean} {
  const attached = opened?.databases.length ?? 0;
  const encoding = opened && encodingOf(opened);
  const attempt = (oldTexts: boolean) => {
    const database = openDatabase(catalogue, scalar, {attached, encoding, oldTexts});
    try {
      return {database, attached: opened && attachEmpty(database, opened), oldTexts};
    } catch (error) {
      database.close();
      throw error;
    }
  };
  try {
    return attempt(false);
  } catch (error) {
    if (opened === undefined) throw error;
  }
  try {
    return attempt(true);
  } catch (error) {
    throw new BkpError('UNSUPPORTED', 'a SELECT cannot read the schema of this table', {
      cause: error,
      next: 'bkp export writes the backup to a database file',
    });
  }
}

/** Checks what SQLite does not: it stops at a NUL and after the first `;`, and treats a parameter as NULL. */
function sound(text: string, catalogue: Catalogue, tables?: readonly string[]): Rewritten {
  const rewritten = rewrite(text, namesOf(catalogue), tables);
  const {isSelect, several, parameter} = rewritten;
  if (!isSelect) throw refusal(moreThanSelect, catalogue);
  const fault = (what: string, next?: string) => new BkpError('SYNTAX', `the SELECT cannot be run: ${what}`, {next});
  if (text.includes('\0')) throw fault('it contains a NUL character');
  if (several) throw fault('something follows its ;');
  if (parameter === undefined) return rewritten;
  throw fault(
    `${parameter} is a parameter, and there is no value for it`,
    'write the value itself; put text in single quotes',
  );
}

function namesOf({views, scalars}: Catalogue) {
  const bare = Object.entries(scalars).flatMap(([name, scalar]) => (scalar.bare ? [name] : []));
  return {views: new Set(Object.keys(views)), bare: new Set(bare)};
}
