import {type Token as SqliteToken, tokensOf} from '../../../lib/sqlite-tokens.ts';
import {foldName, quoteName, quoteText} from './quote.ts';

/** A token of SQL that SQLite itself has accepted; blanks and comments are left out. */
type Token = {kind: SqliteToken['kind']; text: string; start: number; end: number};

function tokens(sql: string): Token[] {
  let end = 0;
  return tokensOf(sql).flatMap(({kind, text}) => {
    const start = end;
    end += text.length;
    return kind === 'blank' ? [] : [{kind, text, start, end}];
  });
}

/** The statement without insignificant differences: comments, blanks, and the case of words outside quotes. */
export function normalized(sql: string): string {
  return tokens(sql)
    .map(({text}) => (/^['"`[]/.test(text) ? text : foldName(text)))
    .join(' ');
}

/** Whether two statements differ in comments, blanks, the case of words, and quotes around names at most. */
export function isSameStatement(one: string, other: string): boolean {
  const words = (sql: string) =>
    tokens(sql).map(({text}) => (text.startsWith("'") ? text : foldName(/^["`[]/.test(text) ? unquoted(text) : text)));
  const [left, right] = [words(one), words(other)];
  return left.length === right.length && left.every((word, at) => word === right[at]);
}

/** The indexed terms of a CREATE INDEX as written (without a final COLLATE, ASC, DESC), and its WHERE condition. */
export function indexTerms(sql: string): {terms: readonly string[]; where: string | undefined} {
  const terms: string[] = [];
  let depth = 0;
  let part: Token[] = [];
  const end = () => {
    terms.push(termText(sql, part));
    part = [];
  };
  let where: number | undefined;
  for (const token of tokens(sql)) {
    if (token.text === ')' && --depth === 0) end();
    else if (token.text === ',' && depth === 1) end();
    else if (depth > 0) part.push(token);
    else if (/^where$/i.test(token.text)) {
      where = token.end;
      break;
    }
    if (token.text === '(') depth++;
  }
  return {terms, where: where === undefined ? undefined : sql.slice(where).trim()};
}

function termText(sql: string, part: Token[]): string {
  if (part.length === 0) return '';
  const kept = [...part];
  if (/^(?:asc|desc)$/i.test(kept.at(-1)?.text ?? '')) kept.pop();
  if (/^collate$/i.test(kept.at(-2)?.text ?? '')) kept.splice(-2);
  return sql.slice(kept[0]!.start, kept.at(-1)!.end);
}

/** A column's default as pragma_table_xinfo reports it, as an expression: a bare or quoted name there is a text. */
export function defaultExpression(written: string): string {
  if (/^(?:true|false|null|current_(?:date|time|timestamp))$/i.test(written)) return written;
  const [first, ...more] = tokens(written);
  return more.length === 0 && first !== undefined && /^[\p{L}_"`[]/u.test(first.text)
    ? quoteText(unquoted(first.text))
    : `(${written})`;
}

/** Whether a name precedes an opening parenthesis. */
export function callsFunction(expression: string): boolean {
  const texts = tokens(expression).map(({text}) => text);
  return texts.some((text, at) => text === '(' && /^[\p{L}_"`[]/u.test(texts[at - 1] ?? ''));
}

/** Every name and word in the text, folded: a name that is missing here is not used there. */
export function wordsIn(sql: string): ReadonlySet<string> {
  return new Set(tokens(sql).map(({text}) => foldName(unquoted(text))));
}

/**
 * Replaces double-quoted texts that are not among the names by string literals, as which SQLite builds may or
 * may not read them.
 */
export function withTextLiterals(sql: string, names: Iterable<string>): string {
  const known = new Set([...names].map(foldName));
  return replacedIn(sql, ({text}) => {
    const name = text.startsWith('"') ? unquoted(text) : undefined;
    return name === undefined || known.has(foldName(name)) ? text : quoteText(name);
  });
}

/** Replaces the table before the point in `table.column`. */
export function withQualifier(sql: string, table: string, qualifier: string): string {
  return replacedIn(sql, ({text}, next) => {
    const isTable = next?.text === '.' && foldName(unquoted(text)) === foldName(table);
    return isTable ? qualifier : text;
  });
}

/** The text with other tokens, and between them what was there. */
function replacedIn(sql: string, replaced: (token: Token, next: Token | undefined) => string): string {
  let result = '';
  let end = 0;
  const all = tokens(sql);
  for (const [at, token] of all.entries()) {
    result += sql.slice(end, token.start) + replaced(token, all[at + 1]);
    end = token.end;
  }
  return result + sql.slice(end);
}

/** The expressions of all generated columns in a CREATE TABLE, one after the other. */
export function generatedExpressions(sql: string): string {
  let depth = 0;
  let begin: number | undefined;
  let before = '';
  const parts: string[] = [];
  for (const token of tokens(sql)) {
    if (token.text === '(' && ++depth === 2 && before === 'as') begin = token.end;
    if (token.text === ')' && --depth === 1 && begin !== undefined) {
      parts.push(sql.slice(begin, token.start));
      begin = undefined;
    }
    before = foldName(token.text);
  }
  return parts.join(' , ');
}

/** A name without its quotes. */
export function unquoted(text: string): string {
  const quote = text[0]!;
  if (quote === '[') return text.slice(1, -1);
  return text.length > 1 && '"`\''.includes(quote) ? text.slice(1, -1).replaceAll(quote + quote, quote) : text;
}

/** The table's name, module and module arguments (as written) of a CREATE VIRTUAL TABLE. */
export function virtualTable(sql: string): {name: string; module: string; args: readonly string[]} | undefined {
  const all = tokens(sql);
  const using = all.findIndex(({text}) => /^using$/i.test(text));
  const [name, module, open] = [all[using - 1], all[using + 1], all[using + 2]];
  if (using < 1 || name === undefined || module === undefined) return undefined;
  const args = open === undefined ? [] : indexTerms(sql.slice(open.start)).terms;
  return {name: unquoted(name.text), module: unquoted(module.text), args};
}

export function isOneStatement(sql: string): boolean {
  return tokens(sql).every(({kind, text}) => kind !== 'unclosed' && text !== ';');
}

/** Whether the statement names the table itself. In FROM name(…) it is a table-valued function of the application. */
export function namesTable(sql: string, table: string): boolean {
  const all = tokens(sql).map(({text}) => foldName(unquoted(text)));
  return all.some((word, at) => word === foldName(table) && (all[at + 1] !== '(' || all[at - 1] === 'into'));
}

/**
 * The event of a CREATE TRIGGER as sqlite_schema stores it: CREATE TRIGGER name [BEFORE | AFTER | INSTEAD OF]
 * event …
 */
export function triggerEvent(sql: string): 'insert' | 'update' | 'delete' {
  for (const {text} of tokens(sql).slice(3)) {
    const word = foldName(text);
    if (word === 'insert' || word === 'update' || word === 'delete') return word;
  }
  return 'insert';
}

/** The name in a CREATE [UNIQUE] INDEX, TRIGGER or VIEW as sqlite_schema stores it. */
export function objectName(sql: string): string {
  const name = nameToken(sql);
  return name === undefined ? '' : unquoted(name.text);
}

/** The same statement for an object of another name. */
export function withObjectName(sql: string, name: string): string {
  const old = nameToken(sql);
  return old === undefined ? sql : sql.slice(0, old.start) + quoteName(name) + sql.slice(old.end);
}

function nameToken(sql: string): Token | undefined {
  const [, second, third, fourth] = tokens(sql);
  return /^unique$/i.test(second?.text ?? '') ? fourth : third;
}

/** The value of `name = value` among the arguments of a CREATE VIRTUAL TABLE; undefined when it is absent or empty. */
export function moduleOption(sql: string, name: string): string | undefined {
  for (const arg of virtualTable(sql)?.args ?? []) {
    const [key, equals, value, ...more] = tokens(arg);
    if (key === undefined || equals?.text !== '=' || value === undefined || more.length > 0) continue;
    if (foldName(unquoted(key.text)) === name) return unquoted(value.text) === '' ? undefined : unquoted(value.text);
  }
  return undefined;
}
