import {widthOf} from './text.ts';

/** A word with what is in quotes; an apostrophe after a letter is none. */
const word = /(?:"[^"]*"|`[^`]*`|(?<!\p{L})'[^']*'|\S)+/gu;
const quoted = /"[^"]*"|`[^`]*`|(?<!\p{L})'[^']*'/gu;
const setOf = (words: string): ReadonlySet<string> => new Set(words.split(' '));
/** First words of commands of a shell. A setting of the environment may precede them. */
const shell = setOf(
  'bkp apt aws cat chmod chown cp createdb curl df docker export kill ln loginctl ls mkdir mount mv npm psql rm sh ' +
    'sqlite3 sudo systemctl ulimit unset',
);
const environment = /^[A-Z][A-Z_]+=/;
/** First words of statements. */
const statement = setOf(
  'ALTER BACKUP CHECKPOINT COPY CREATE DROP GRANT INTO PIN PRAGMA RESTORE SELECT SHOW UNPIN VERIFY VACUUM WITH',
);

/**
 * Wraps a sentence that may contain commands and statements, never within one of these, so that each can be copied. A
 * command that is longer than a line stays one line: the terminal breaks it, and still copies it as one.
 */
export function wrapAroundCommands(text: string, width: number): string[] {
  if (widthOf(text) <= width) return [text];
  const lines: string[] = [];
  for (const piece of piecesOf(text)) {
    const line = lines.at(-1);
    if (line === undefined || widthOf(`${line} ${piece}`) > width) lines.push(piece);
    else lines[lines.length - 1] = `${line} ${piece}`;
  }
  return lines;
}

/** The words of the text; a command, up to the sign that ends it, is one piece. */
function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  let inside: 'shell' | 'statement' | undefined;
  /** Brackets that the command has opened. */
  let depth = 0;
  const parts = Array.from(text.matchAll(word), ([part]) => part);
  for (const [at, part] of parts.entries()) {
    if (inside !== undefined && depth === 0 && isRemark(inside, parts.slice(at - 1, at + 3))) inside = undefined;
    if (inside !== undefined) pieces.push(`${pieces.pop()} ${part}`);
    else {
      pieces.push(part);
      inside = kindOf(part.replace(/^[(‘“]+/, '').replace(/[,;:.)]+$/, ''));
      depth = 0;
    }
    const signs = part.replaceAll(quoted, '');
    depth += count(signs, '(') - count(signs, ')');
    if (depth < 0 || (depth === 0 && /[,;:]$/.test(signs))) inside = undefined;
  }
  return pieces;
}

/**
 * Whether a sentence goes on after the command: in brackets, which are a list in a statement, or with three plain words
 * after something that is no word.
 */
function isRemark(inside: 'shell' | 'statement', [before = '', ...next]: readonly string[]): boolean {
  if (inside === 'shell' && next[0]!.startsWith('(')) return true;
  const isEnd = inside === 'shell' ? !/^[a-z-]+$/.test(before) : /['")]$/.test(before);
  return isEnd && next.length === 3 && next.every((each) => /^[a-z]+[,;:.]?$/.test(each));
}

function kindOf(part: string): 'shell' | 'statement' | undefined {
  if (shell.has(part) || environment.test(part)) return 'shell';
  return statement.has(part) ? 'statement' : undefined;
}

const count = (text: string, sign: string) => text.split(sign).length - 1;
