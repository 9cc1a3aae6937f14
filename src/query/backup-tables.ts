import {BkpError} from '../errors/index.ts';
import {quotedName, type Token, tokensOf} from '../lib/sqlite-tokens.ts';
import {type Condition, conditionsOn} from './conditions.ts';

/** `backup('shop', '…').orders`, as written. */
export type BackupTable = {
  collection: string;
  /** Absent: the newest backup. */
  point: string | undefined;
  table: string;
  /** Of this place of the statement; empty if it may need every row. */
  conditions: readonly Condition[];
};

/** Where a {@link BackupTable} is in the statement. */
type Found = {
  from: BackupTable;
  /** How the statement calls it without another name. */
  name: string;
  /** Positions of its first token, and after its last one. */
  start: number;
  end: number;
  /** Whether the statement gives it another name. */
  hasAlias: boolean;
};

/** Words that can follow a table in FROM; every other word is a name for it. */
const afterTable = new Set([
  ...['where', 'group', 'having', 'order', 'limit', 'union', 'except', 'intersect', 'join', 'left', 'right', 'full'],
  ...['inner', 'cross', 'natural', 'outer', 'on', 'using', 'indexed', 'not', 'window', 'as'],
]);

/**
 * The tables of backups that a statement names.
 * @param tokens of the statement, without blanks
 * @throws BkpError `SYNTAX` for a `backup(…)` that is not followed by a table
 */
export function findBackupTables(tokens: readonly Token[]): readonly Found[] {
  const found: Found[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const isCall = isWord(tokens[at], 'backup') && tokens[at + 1]?.text === '(' && tokens[at - 1]?.text !== '.';
    if (!isCall) continue;
    const reference = referenceAt(tokens, at);
    found.push(reference);
    at = reference.end - 1;
  }
  return found;
}

function referenceAt(tokens: readonly Token[], start: number): Found {
  let at = start + 2;
  const collection = textOf(tokens[at]);
  if (collection === undefined) throw malformed('its first argument is the name of a collection');
  let point: string | undefined;
  at++;
  if (tokens[at]?.text === ',') {
    point = textOf(tokens[at + 1]);
    if (point === undefined) throw malformed('its second argument is a backup or a time, in quotes');
    at += 2;
  }
  if (tokens[at]?.text !== ')') throw malformed('it takes a collection, and a backup or a time');
  if (tokens[at + 1]?.text !== '.') throw malformed('the table is missing');
  const table = textOf(tokens[at + 2]);
  if (table === undefined) throw malformed('the table is missing');
  // A table of a database with schemas: `backup('shop').billing.cards`.
  const own = tokens[at + 3]?.text === '.' ? textOf(tokens[at + 4]) : undefined;
  const end = own === undefined ? at + 3 : at + 5;
  if (tokens[end]?.text === '.') throw malformed('a table has no further parts');
  const {alias, after} = aliasAt(tokens, end);
  const name = own ?? withoutRoot(table);
  const conditions = conditionsOn(tokens, {start, end: after, names: [alias ?? name]});
  const from = {collection, point, table: own === undefined ? table : `${table}.${own}`, conditions};
  return {from, name, start, end, hasAlias: alias !== undefined};
}

function aliasAt(tokens: readonly Token[], end: number): {alias: string | undefined; after: number} {
  if (isWord(tokens[end], 'as')) return {alias: textOf(tokens[end + 1]), after: end + 2};
  const next = tokens[end];
  const isName = next !== undefined && (next.kind !== 'word' || !afterTable.has(next.text.toLowerCase()));
  const alias = isName ? textOf(next) : undefined;
  return {alias, after: alias === undefined ? end : end + 1};
}

/** The content of a name or a string. */
export function textOf(token: Token | undefined): string | undefined {
  switch (token?.kind) {
    case 'word':
      return token.text;
    case 'name':
      return quotedName(token.text);
    case 'string':
      return token.text.slice(1, -1).replaceAll("''", "'");
    default:
      return undefined;
  }
}

export function withoutRoot(table: string): string {
  return table.startsWith('/Root/') ? table.slice('/Root/'.length) : table;
}

export function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === 'word' && token.text.toLowerCase() === word;
}

function malformed(why: string): BkpError {
  return new BkpError('SYNTAX', `the SELECT cannot be run: backup(…) does not name a table: ${why}`, {
    next: "write backup('shop').orders for the newest backup, or backup('shop', '2026-11-21 12:00').orders",
  });
}

/** The tables that a statement names, for callers that prepare them. */
export function backupTablesIn(text: string): readonly BackupTable[] {
  return findBackupTables(codeOf(tokensOf(text, {foreignBlanks: true}))).map(({from}) => from);
}

/**
 * Names that a statement gives to results of its own in WITH. SQLite asks for the right to read one of which no column
 * is needed. Names of SQLite's own tables are not among them, so that nothing hides behind one.
 */
export function commonTablesIn(text: string): readonly string[] {
  const tokens = codeOf(tokensOf(text, {foreignBlanks: true}));
  return tokens.flatMap((token, at) => {
    let next = at + 1;
    if (tokens[next]?.text === '(') next = tokens.findIndex(({text: sign}, end) => end > next && sign === ')') + 1;
    if (!isWord(tokens[next], 'as')) return [];
    next++;
    if (isWord(tokens[next], 'not')) next++;
    if (isWord(tokens[next], 'materialized')) next++;
    const name = tokens[next]?.text === '(' ? textOf(token)?.toLowerCase() : undefined;
    return name === undefined || name.startsWith('sqlite_') ? [] : [name];
  });
}

export function codeOf(tokens: readonly Token[]): Token[] {
  return tokens.filter(({kind}) => kind !== 'blank');
}
