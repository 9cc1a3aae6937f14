import {BkpError, didYouMean} from '../errors/index.ts';
import {tokensOf} from '../lib/sqlite-tokens.ts';
import type {Catalogue} from './catalogue.ts';
import {tableOf} from './database.ts';
import type {Heard} from './guard.ts';

/**
 * SQLite's error as one of ours, with what there is to choose from. What is not SQLite's stays as it is.
 * @param text what SQLite was given
 */
export function asFault(error: unknown, text: string, heard: Heard, catalogue: Catalogue): unknown {
  if (!isSqliteError(error)) return error;
  if (heard.refused !== undefined) return refusal(heard.refused, catalogue);
  return new BkpError('SYNTAX', `the SELECT cannot be run: ${error.message}`, {
    next: hint(error.message, text, heard, catalogue),
  });
}

export function refusal(what: string, catalogue: Catalogue): BkpError {
  return new BkpError('UNSUPPORTED', `SELECT reads views and nothing else: ${what} is refused`, {
    next: viewsText(catalogue),
  });
}

function isSqliteError(error: unknown): error is Error {
  return error instanceof Error && (error as {code?: unknown}).code === 'ERR_SQLITE_ERROR';
}

/** The clauses of a SELECT: one of these is what a word stands for where SQLite expects another. */
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

function hint(message: string, text: string, heard: Heard, catalogue: Catalogue): string {
  const near = /^near "(.*)": syntax error$/s.exec(message)?.[1];
  if (near !== undefined) {
    const clause = meantClause(near, text);
    return clause === undefined ? viewsText(catalogue) : `did you mean ${clause}?`;
  }
  const [, kind, written = ''] = /^no such (table|column|function): (.*?)(?: - .*)?$/s.exec(message) ?? [];
  const wanted = written.replaceAll('"', '').split('.').at(-1)!;
  if (kind !== 'table' && Object.hasOwn(catalogue.views, wanted.toLowerCase()))
    return `${wanted}() is a view: SELECT … FROM ${wanted}()`;

  const read = Object.keys(catalogue.views).filter((view) => heard.tables.has(tableOf(view)));
  if (kind === 'column' && read.length > 0) {
    const columns = read.flatMap((view) => Object.keys(catalogue.views[view]!.columns));
    return question(didYouMean(wanted, columns)) + columnsText(read, catalogue);
  }
  const names = [...Object.keys(catalogue.views), ...(kind === 'table' ? [] : Object.keys(catalogue.scalars))];
  const meant = kind === undefined ? undefined : didYouMean(wanted, names);
  return question(meant === undefined ? undefined : asWritten(meant, catalogue)) + viewsText(catalogue);
}

/** A mistyped clause is taken for an alias: SQLite stumbles over it, or over the word behind it. */
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
  return `the views are ${listed(catalogue.views)}${values === '' ? '' : `; the values are ${values}`}`;
}

function columnsText(read: readonly string[], {views}: Catalogue): string {
  return read.map((name) => `${name}() has ${Object.keys(views[name]!.columns).join(', ')}`).join('; ');
}
