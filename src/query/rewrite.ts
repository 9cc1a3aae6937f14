import {foreignBlanks, type Token, tokensOf} from '../lib/sqlite-tokens.ts';

export type Names = {
  /** In lower case. */
  views: ReadonlySet<string>;
  /** Scalars that may be written without parentheses; in lower case. */
  bare: ReadonlySet<string>;
};

export type Rewritten = {
  /** What SQLite is given. */
  text: string;
  /** Whether it begins with SELECT. */
  isSelect: boolean;
  /** So many rows from the end are the answer; absent: all. */
  last?: number;
  /** The first thing that would be given a value from outside (`?`, `:name`): there is none. */
  parameter?: string;
  /** A `;` with something behind it: SQLite would read the first of the two statements, and drop the other. */
  several: boolean;
};

/**
 * The few things that people write and SQLite does not take. All else is left to it, exactly as it stands: strings, comments
 * and quoted names are never looked into.
 * - `operations()` loses its parentheses, and is then the name of a view.
 * - A bare scalar (`backup_instance_name`) gets some, and is then a call.
 * - `LIMIT -n` at the very end means the last n rows, as in QuestDB; to SQLite a negative limit is none.
 */
export function rewrite(text: string, {views, bare}: Names): Rewritten {
  const tokens = tokensOf(text, {foreignBlanks: true});
  const code = tokens.filter(({kind}) => kind !== 'blank');
  for (const found of tokens) if (found.kind === 'blank') found.text = found.text.replaceAll(foreignBlanks, ' ');
  const end = code.at(-1)?.text === ';' ? code.pop() : undefined;
  if (end !== undefined) end.text = ' ';
  const facts = {
    isSelect: isWord(code[0], 'select'),
    several: code.some(({kind, text: sign}) => kind === 'other' && sign === ';'),
    ...parameterIn(code),
    ...lastRows(code),
  };
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
  return {text: tokens.map((found) => found.text).join(''), ...facts};
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

/** Takes the limit out of the text. */
function lastRows(code: readonly Token[]): {last?: number} {
  const [limit, minus, count] = code.slice(-3);
  if (!isWord(limit, 'limit') || minus?.text !== '-' || !/^\d+$/.test(count?.text ?? '')) return {};
  const last = Number(count!.text);
  for (const token of [limit!, minus, count!]) token.text = ' ';
  return {last};
}
