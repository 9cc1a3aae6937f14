import {BkpError, didYouMean} from '../errors/index.ts';
import {tokensOf} from '../lib/sqlite-tokens.ts';
import type {Catalogue as OfViews, OpenedTables} from './catalogue.ts';
import {tableOf} from './database.ts';
import type {Accesses} from './guard.ts';

/** `opened`: the tables of backups that the statement names. */
type Catalogue = OfViews & {opened?: OpenedTables['tables'] | undefined};

/**
 * Turns an error of SQLite into one of bkp's that lists the available views. Other errors stay as they are.
 * @param text the statement as SQLite received it
 */
export function asFault(error: unknown, text: string, accesses: Accesses, catalogue: Catalogue): unknown {
  if (!isSqliteError(error)) return error;
  if (accesses.refused !== undefined) return refusal(accesses.refused, catalogue);
  if (accesses.rowidOf !== undefined) return noRowid(accesses.rowidOf, catalogue);
  return new BkpError('SYNTAX', `the SELECT cannot be run: ${error.message}`, {
    next: hint(error.message, text, accesses, catalogue),
  });
}

export function refusal(what: string, catalogue: Catalogue): BkpError {
  return new BkpError('UNSUPPORTED', `SELECT reads views and nothing else: ${what} is refused`, {
    next: viewsText(catalogue),
  });
}

function noRowid(table: string, catalogue: Catalogue): BkpError {
  return new BkpError('SYNTAX', `the SELECT cannot be run: the rowid of ${table} is not part of its backups`, {
    next: columnsText([], catalogue),
  });
}

function isSqliteError(error: unknown): error is Error {
  return error instanceof Error && (error as {code?: unknown}).code === 'ERR_SQLITE_ERROR';
}

/** The clauses of a SELECT: candidates for a mistyped word that SQLite reports as a syntax error. */
const clauses = [
  'FROM',
  'WHERE',
  'GROUP',
  'HAVING',
  'ORDER',
  'LIMIT',
  'OFFSET',
  'JOIN',
  'UNION',
  'BETWEEN',
  'DISTINCT',
];

function hint(message: string, text: string, accesses: Accesses, catalogue: Catalogue): string {
  const near = /^near "(.*)": syntax error$/s.exec(message)?.[1];
  if (near !== undefined) {
    const clause = meantClause(near, text);
    return clause === undefined ? viewsText(catalogue) : `did you mean ${clause}?`;
  }
  const [, kind, written = ''] = /^no such (table|column|function): (.*?)(?: - .*)?$/s.exec(message) ?? [];
  const wanted = written.replaceAll('"', '').split('.').at(-1)!;
  if (kind !== 'table' && Object.hasOwn(catalogue.views, wanted.toLowerCase()))
    return `${wanted}() is a view: SELECT … FROM ${wanted}()`;

  const read = Object.keys(catalogue.views).filter((view) => accesses.tables.has(tableOf(view)));
  const {opened = []} = catalogue;
  if (kind === 'column' && read.length + opened.length > 0) {
    const columns = [
      ...read.flatMap((view) => Object.keys(catalogue.views[view]!.columns)),
      ...opened.flatMap((table) => table.columns),
    ];
    return question(didYouMean(wanted, columns)) + columnsText(read, catalogue);
  }
  const names = [...Object.keys(catalogue.views), ...(kind === 'table' ? [] : Object.keys(catalogue.scalars))];
  const meant = kind === undefined ? undefined : didYouMean(wanted, names);
  return question(meant === undefined ? undefined : asWritten(meant, catalogue)) + viewsText(catalogue);
}

/** SQLite takes a mistyped clause for an alias, and reports the syntax error at it or at the next word. */
function meantClause(near: string, text: string): string | undefined {
  const code = tokensOf(text, {foreignBlanks: true}).filter(({kind}) => kind !== 'blank');
  const at = code.findIndex((token) => token.text === near);
  for (const token of [code[at], code[at - 1]]) {
    if (token?.kind !== 'word' || clauses.includes(token.text.toUpperCase())) continue;
    const meant = didYouMean(token.text, clauses);
    if (meant !== undefined) return meant;
  }
  return undefined;
}

function question(meant: string | undefined): string {
  return meant === undefined ? '' : `did you mean ${meant}? `;
}

function asWritten(name: string, {scalars}: Catalogue): string {
  return scalars[name]?.bare ? name : `${name}()`;
}

function viewsText(catalogue: Catalogue): string {
  const listed = (names: Record<string, unknown>) =>
    Object.keys(names)
      .sort()
      .map((name) => asWritten(name, catalogue))
      .join(', ');
  const values = listed(catalogue.scalars);
  const tables = catalogue.backups === undefined ? '' : "; a table of a backup is backup('collection').table";
  return `the views are ${listed(catalogue.views)}${values === '' ? '' : `; the values are ${values}`}${tables}`;
}

function columnsText(read: readonly string[], {views, opened = []}: Catalogue): string {
  const tables = new Map(opened.map(({name, columns}) => [name, columns]));
  return [
    ...read.map((name) => `${name}() has ${Object.keys(views[name]!.columns).join(', ')}`),
    ...[...tables].map(([name, columns]) => `${name} has ${columns.join(', ')}`),
  ].join('; ');
}
