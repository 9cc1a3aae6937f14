import {foreignBlanks, type Token, tokensOf} from '../lib/sqlite-tokens.ts';
import {findBackupTables} from './backup-tables.ts';
import {quoted} from './database.ts';

export type Names = {
  /** In lower case. */
  views: ReadonlySet<string>;
  /** Scalars that may be written without parentheses; in lower case. */
  bare: ReadonlySet<string>;
};

export type Rewritten = {
  /** The statement for SQLite. */
  text: string;
  /** Whether it begins as a SELECT does. */
  isSelect: boolean;
  /** Only this many rows from the end are the result; absent: all. */
  last?: number;
  /** The first parameter (`?`, `:name`), for which there is no value. */
  parameter?: string;
  /** Something follows a `;`: SQLite would run the first statement and ignore the rest. */
  several: boolean;
  /** What the user wrote for a part of {@link text}, as SQLite calls the column of an expression without AS. */
  written: (part: string) => string;
};

/**
 * Rewrites the few forms that bkp accepts and SQLite does not. Everything else stays the same, including the content
 * of strings, comments and quoted names.
 * - `operations()` loses its parentheses, and is then the name of a view.
 * - A bare scalar (`backup_instance_name`) gets parentheses, and is then a call.
 * - `backup('shop').orders` becomes the table that holds its rows, under the name that the statement gives it.
 * - `LIMIT -n` at the very end means the last n rows, as in QuestDB; for SQLite a negative limit means no limit.
 */
export function rewrite(text: string, {views, bare}: Names, tables: readonly string[] = []): Rewritten {
  const tokens = tokensOf(text, {foreignBlanks: true});
  const written = tokens.map((token) => token.text);
  const code = tokens.filter(({kind}) => kind !== 'blank');
  for (const found of tokens) if (found.kind === 'blank') found.text = found.text.replaceAll(foreignBlanks, ' ');
  const end = code.at(-1)?.text === ';' ? code.pop() : undefined;
  if (end !== undefined) end.text = ' ';
  const facts = {
    isSelect: isWord(code[0], 'select') || isWord(code[0], 'with'),
    several: code.some(({kind, text: sign}) => kind === 'other' && sign === ';'),
    ...parameterIn(code),
    ...lastRows(code),
  };
  for (const [n, {start, end, hasAlias, name}] of (tables.length === 0 ? [] : findBackupTables(code)).entries()) {
    code[start]!.text = hasAlias ? tables[n]! : `${tables[n]} AS ${quoted(name)}`;
    for (const token of code.slice(start + 1, end)) token.text = '';
  }
  for (const [at, {kind, text: word}] of code.entries()) {
    if (kind !== 'word' || code[at - 1]?.text === '.') continue;
    const called = code[at + 1]?.text === '(';
    if (called && code[at + 2]?.text === ')' && views.has(word.toLowerCase())) {
      code[at + 1]!.text = ' ';
      code[at + 2]!.text = ' ';
    }
    if (!called && bare.has(word.toLowerCase()) && code[at + 1]?.text !== '.' && !isWord(code[at - 1], 'as'))
      code[at]!.text = `${word}()`;
  }
  const given = tokens.map((found) => found.text);
  return {text: given.join(''), written: (part) => originalOf(part, given, written), ...facts};
}

/** @param given the tokens of the text for SQLite @param written each of them as it was */
function originalOf(part: string, given: readonly string[], written: readonly string[]): string {
  const text = given.join('');
  const starts: number[] = [];
  for (let at = 0, from = 0; at < given.length; from += given[at++]!.length) starts.push(from);
  for (const [at, start] of starts.entries()) {
    if (given[at] === '' || !text.startsWith(part, start)) continue;
    const stop = start + part.length;
    // With the tokens of which nothing is left: they belong to the one before.
    const end = stop === text.length ? given.length : starts.lastIndexOf(stop);
    if (end > at) return written.slice(at, end).join('');
  }
  return part;
}

function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === 'word' && token.text.toLowerCase() === word;
}

function parameterIn(code: readonly Token[]): {parameter?: string} {
  const at = code.findIndex(({kind, text}) => kind === 'other' && /^[?:@$]$/.test(text));
  if (at === -1) return {};
  const next = code[at + 1];
  return {parameter: code[at]!.text + (next?.kind === 'word' ? next.text : '')};
}

/** Removes the limit from the text. */
function lastRows(code: readonly Token[]): {last?: number} {
  const [limit, minus, count] = code.slice(-3);
  if (!isWord(limit, 'limit') || minus?.text !== '-' || !/^\d+$/.test(count?.text ?? '')) return {};
  const last = Number(count!.text);
  for (const token of [limit!, minus, count!]) token.text = ' ';
  return {last};
}
