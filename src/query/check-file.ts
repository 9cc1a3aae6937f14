import type {SQLOutputValue} from 'node:sqlite';
import {BkpError} from '../errors/index.ts';
import {tookTooLong} from '../lib/query-end.ts';
import {type Token, tokensOf} from '../lib/sqlite-tokens.ts';
import {runApart} from './apart.ts';

/** What became of a check. `found` is what the query returned, or why it could not be run: the end of a sentence. */
export type CheckResult = {sql: string; held: boolean; found: string};

const mostShown = 200;

/**
 * The checks of a setting, which `;;` separates: a `;` alone may be part of one, and so may what a literal, a quoted
 * name or a comment holds.
 * @throws BkpError `SYNTAX` for what is not one SELECT
 */
export function splitChecks(text: string): readonly string[] {
  const checks = split(text);
  for (const sql of checks) requireSelect(sql);
  return checks;
}

/** The same for a server with its own SQL, which refuses what it does not understand. */
export function splitForeignChecks(text: string): readonly string[] {
  const checks = split(text);
  for (const sql of checks) if (!/^(select|with)\b/i.test(sql)) throw unusable(sql, 'it is not a SELECT');
  return checks;
}

function split(text: string): readonly string[] {
  const checks = [''];
  const tokens = tokensOf(text, {foreignBlanks: true});
  for (let at = 0; at < tokens.length; at += 1) {
    const separates = isSemicolon(tokens[at]) && isSemicolon(tokens[at + 1]);
    if (separates) at += 1;
    if (separates) checks.push('');
    else checks[checks.length - 1] += tokens[at]!.text;
  }
  return checks.map((sql) => sql.trim().replace(/;$/, '').trim());
}

const isSemicolon = (token: Token | undefined) => token?.kind === 'other' && token.text === ';';

/** SQLite would run the first of several statements and ignore the others, and take a parameter for NULL. */
function requireSelect(sql: string): void {
  const code = tokensOf(sql, {foreignBlanks: true}).filter(({kind}) => kind !== 'blank');
  const first = code[0]?.text.toLowerCase() ?? '';
  const fault = !['select', 'with', 'values'].includes(first)
    ? 'it is not a SELECT'
    : code.some(isSemicolon)
      ? 'something follows its ;'
      : code.some(({kind, text}) => kind === 'other' && /^[?:@$]$/.test(text))
        ? 'it has a parameter'
        : undefined;
  if (fault !== undefined) throw unusable(sql, fault);
}

function unusable(sql: string, fault: string): BkpError {
  return new BkpError('SYNTAX', `CHECK_SQL cannot be run: ${fault}: ${shortened(sql) || 'nothing'}`, {
    next: "write CHECK_SQL='SELECT count(*) > 0 FROM orders'; ;; separates several queries",
  });
}

/** A check that a server has run. @param found the first value of the only row, or why there is none */
export function checkedByServer(sql: string, found: {value: unknown} | {error: string}): CheckResult {
  if ('error' in found && found.error !== undefined) return {sql, held: false, found: found.error};
  const {value = null} = found as {value?: unknown};
  const held = value === true || (typeof value === 'number' && value !== 0);
  return {sql, held, found: value === null ? 'NULL' : shortened(String(value))};
}

/**
 * Runs a check on a database file, in a process of its own that can only read. It holds if the query returns exactly
 * one row whose first column is true for SQLite.
 * @throws BkpError `INTERRUPTED`, and when a limit was exceeded
 */
export async function checkFile(
  path: string,
  sql: string,
  {seconds, mebibytes, signal}: {seconds: number; mebibytes: number; signal?: AbortSignal},
): Promise<CheckResult> {
  const question = {database: path, query: sql, tables: undefined, scalars: new Map()};
  const asked = {...question, limits: {seconds, mebibytes, rows: 1}};
  try {
    const [row] = await runApart(asked, signal);
    if (row === undefined) return {sql, held: false, found: 'no row'};
    return {sql, held: isTrue(row[0] ?? null), found: shownValue(row[0] ?? null)};
  } catch (error) {
    const {code, message} = error as Error & {code?: string};
    if (code === 'ERR_SQLITE_ERROR') return {sql, held: false, found: `an error: ${message}`};
    if (error instanceof BkpError && error.code === 'BAD_REQUEST' && message.includes('rows')) {
      return {sql, held: false, found: 'more than one row'};
    }
    if (error instanceof BkpError && error.code === 'TIMEOUT') return {sql, held: false, found: tookTooLong(seconds)};
    throw error;
  }
}

/** As `IS TRUE`: a text or a blob counts as the number that it begins with. */
function isTrue(value: SQLOutputValue): boolean {
  if (value === null) return false;
  if (typeof value === 'number' || typeof value === 'bigint') return Number(value) !== 0;
  const text = typeof value === 'string' ? value : Buffer.from(value).toString('utf8');
  return (Number.parseFloat(text) || 0) !== 0;
}

function shownValue(value: SQLOutputValue): string {
  if (value === null) return 'NULL';
  return value instanceof Uint8Array ? `a blob of ${value.length} bytes` : shortened(String(value));
}

const shortened = (text: string) => (text.length > mostShown ? `${text.slice(0, mostShown)}…` : text);
