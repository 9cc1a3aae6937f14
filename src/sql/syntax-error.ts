import {BkpError, didYouMean, unreachable} from '../errors/index.ts';
import {hideSecrets} from '../lib/hide-secrets.ts';
import {quoteName} from '../lib/statement-name.ts';
import {printable} from '../lib/text.ts';
import {excerpt} from './excerpt.ts';
import {keywords} from './keywords.ts';
import {type Lexeme, lexemes} from './lexemes.ts';
import type {Place} from './statement.ts';

/** An expectation of the generated parser; descriptions are the names of rules in the grammar. */
export type Expectation = {type: string; description?: string; text?: string};

/** What the grammar refuses although it is well-formed; `detail` is the key of a setting, or the string. */
export type Refusal = 'duplicate-key' | 'not-a-string' | 'no-collection' | 'renamed';

const end = 'the end of the statement';
/** A longer word is truncated in the message; the excerpt shows where it is. */
const foundLimit = 40;

/**
 * The error for text that does not parse: what was found at `offset`, what was expected, and what was probably meant.
 */
export function unexpected(written: string, writtenOffset: number, expectations: readonly Expectation[]): BkpError {
  const {text, offset} = hideSecrets(written, writtenOffset);
  const all = lexemes(text);
  const index = all.findIndex((lexeme) => lexeme.start >= offset);
  const lexeme = all[index];
  const previous = index === -1 ? all.at(-1) : all[index - 1];
  // An empty statement is allowed, so the end is possible at the start of a statement; mentioning it does not help.
  const atStart = previous === undefined || previous.kind === 'end';
  const expected = humanNames(expectations).filter((name) => !(atStart && name === end));
  const word = lexeme === undefined ? '' : text.slice(lexeme.start, lexeme.end);
  const expectedKeywords = expected.filter((name) => keywords.includes(name));
  const isFull = /^full$/i.test(word) && expectedKeywords.includes('INCREMENTAL');
  const meant = lexeme?.kind === 'word' && !isFull ? didYouMean(word, expectedKeywords) : undefined;
  // If the text ends too early, mark the end of the last word, not the end of white space and comments after it.
  const place = lexeme === undefined ? (lexemes(written).at(-1)?.end ?? writtenOffset) : writtenOffset;
  return syntaxError(written, place, `found ${describe(word, lexeme)}, expected ${anyOf(expected)}`, {
    next: isFull
      ? 'leave it out: a backup is a full one unless INCREMENTAL follows'
      : meant === undefined
        ? (pointHint(text, lexeme, expected) ?? nameHint(text, lexeme, previous, expected))
        : `did you mean ${meant}?`,
  });
}

/** The error for what the grammar refuses although it is well-formed. */
export function refusal(text: string, kind: Refusal, offset: number, detail: string): BkpError {
  switch (kind) {
    case 'duplicate-key':
      return syntaxError(text, offset, `${printable(detail)} duplicate keys`, {next: 'keep one of the two'});
    case 'not-a-string':
      return syntaxError(text, offset, `${printable(detail)} value should be a string literal`, {
        next: `put the value in quotes: ${printable(detail)} = '…'`,
      });
    case 'no-collection':
      return syntaxError(text, offset, `'${printable(detail)}' is a backup or a time, and its collection is missing`, {
        next: withCollection(text, offset, printable(detail)),
      });
    case 'renamed':
      return syntaxError(text, offset, 'RESTORE DATABASE brings tables back under their own names', {
        next: 'leave AS out: the target is a new database, whose server can rename the table',
      });
    default:
      return unreachable(kind);
  }
}

/** How to name the collection too; a time may also mean a backup of a whole database. */
function withCollection(text: string, offset: number, point: string): string {
  const full = `write '<collection>/${point}'`;
  const before = lexemes(text.slice(0, offset));
  const first = before[before.findLastIndex(({kind}) => kind === 'end') + 1]!;
  const verb = text.slice(first.start, first.end).toUpperCase();
  if (verb === 'COPY' || point.includes('_')) return full;
  const ofDatabase = verb === 'RESTORE' || verb === 'VERIFY' ? `${verb} DATABASE AT` : `${verb} DATABASE BACKUP`;
  return `${full}, or, for a whole database, ${ofDatabase} '${point}'`;
}

function syntaxError(text: string, offset: number, what: string, {next}: {next: string | undefined}): BkpError {
  const {line, column} = placeOf(text, offset);
  return new BkpError('SYNTAX', `syntax error at line ${line}, column ${column}: ${what}`, {
    cause: excerptAt(text, offset),
    next,
    context: {line, column},
  });
}

function excerptAt(written: string, writtenOffset: number): string {
  const {text, offset} = hideSecrets(written, writtenOffset);
  return excerpt(text, offset);
}

function placeOf(text: string, offset: number): Place {
  const lines = text.slice(0, offset).split('\n');
  return {line: lines.length, column: lines.at(-1)!.length + 1};
}

/** Without duplicates: symbols, then keywords, then kinds of tokens, then the end of the statement. */
function humanNames(expectations: readonly Expectation[]): string[] {
  const names = new Set<string>();
  for (const {type, description, text} of expectations) {
    if (type === 'end' || text === ';') names.add(end);
    else if (type === 'literal') names.add(`\`${text}\``);
    else if (description !== 'whitespace') names.add(description ?? 'something else');
  }
  const rank = (name: string) => (name === end ? 3 : name.startsWith('`') ? 0 : keywords.includes(name) ? 1 : 2);
  return [...names].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

function anyOf(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}

function describe(word: string, lexeme: Lexeme | undefined): string {
  if (lexeme === undefined || lexeme.kind === 'end') return end;
  if (lexeme.kind === 'unclosed') {
    const what = word.startsWith('/*') ? 'a comment' : word.startsWith('`') ? 'a name' : 'a string';
    return `${what} that is not closed`;
  }
  const shown = printable(word);
  return `\`${shown.length > foundLimit ? `${shown.slice(0, foundLimit)}…` : shown}\``;
}

/** A time, a time before now, a period or the name of a backup, without quotes. */
const barePoint =
  /^(?:\d{4}-\d\d-\d\d(?:[T ]\d\d:[\d:.]+)?(?:Z|[+-]\d\d:?\d\d)?|-\s*[\d.]+\s*[a-z]+|[\d.]+ [a-z]+|\d\w+)/i;

/** The hint for a backup or a time that is not in quotes. */
function pointHint(text: string, lexeme: Lexeme | undefined, expected: readonly string[]): string | undefined {
  const isUntil = expected.includes('a time or a period');
  if (lexeme?.kind === 'unclosed' || !(isUntil || expected.includes('a backup or a time'))) return undefined;
  const found = lexeme && barePoint.exec(text.slice(lexeme.start))?.[0];
  if (found !== undefined) return `put it in quotes: '${found}'`;
  return isUntil
    ? "write it in quotes: '2030-01-01' or '90 days'"
    : "write the name of a backup or a time in quotes, '2026-11-21 12:00' or '-1 day', or latest";
}

/** PostgreSQL's own quotes may be within it: `public."a.b"`. */
const oddName = /^[^\s;,()=`'"](?:[^\s;,()=`'"]|"(?:[^"]|"")*")*/;

/** The hint for the two common errors with names: the backticks are missing, or the shell has removed them. */
function nameHint(
  text: string,
  lexeme: Lexeme | undefined,
  previous: Lexeme | undefined,
  expected: readonly string[],
): string | undefined {
  if (lexeme?.kind === 'unclosed') return undefined;
  const expectsName = expected.includes('a name');
  if (expectsName && lexeme?.kind === 'string') {
    return `put names in backticks: ${quoteName(text.slice(lexeme.start + 1, lexeme.end - 1), {always: true})}`;
  }
  const continuesName = lexeme?.kind === 'other' && previous?.kind === 'word' && previous.end === lexeme.start;
  const start = continuesName ? previous.start : lexeme?.start;
  const odd = start === undefined ? '' : (oddName.exec(text.slice(start))?.[0] ?? '');
  const isOdd = continuesName ? odd.length > previous.end - previous.start : odd !== '';
  if ((expectsName || continuesName) && isOdd) {
    const quoted = quoteName(printable(odd), {always: true});
    return `put names with characters other than letters, digits and _ in backticks: ${quoted}`;
  }
  return expectsName ? "inside a shell's double quotes, write \\` for a backtick" : undefined;
}
