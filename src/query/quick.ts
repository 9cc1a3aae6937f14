import {tokensOf} from '../lib/sqlite-tokens.ts';
import type {Catalogue} from './catalogue.ts';
import type {Heard} from './guard.ts';

/** Their result is no longer than what they are given, and takes no longer to make. */
const cheapFunctions = new Set([
  ...['abs', 'avg', 'coalesce', 'count', 'date', 'datetime', 'ifnull', 'iif', 'instr', 'julianday', 'length', 'lower'],
  ...[
    'max',
    'min',
    'nullif',
    'round',
    'sign',
    'strftime',
    'substr',
    'sum',
    'time',
    'total',
    'trim',
    'typeof',
    'unixepoch',
  ],
  ...['upper', 'current_date', 'current_time', 'current_timestamp'],
]);

/** More than anybody types who asks one question of one view. */
const longestText = 4096;

/** Each `||` makes a value longer. */
const mostBars = 8;

/**
 * @returns true when the statement reads one view, once, and makes of each row about as much as is in it: then it ends
 *   about when the view has been read, and need not be watched. False says only that this is not plain to see.
 * @param text what SQLite is given
 * @param tables whatever may stand behind FROM by its name, in lower case; beside those only VALUES and a SELECT can
 */
export function isQuick(text: string, tables: ReadonlySet<string>, heard: Heard, {scalars}: Catalogue): boolean {
  if (text.length > longestText) return false;
  const functions = [...heard.functions];
  if (!functions.every((name) => cheapFunctions.has(name) || Object.hasOwn(scalars, name))) return false;
  const found = {selects: 0, tables: 0, bars: 0};
  for (const {kind, text: written} of tokensOf(text, {foreignBlanks: true})) {
    if (written === '|') found.bars += 1;
    // SQLite takes a string for a name where only a name can be.
    const word = (kind === 'word' ? written : written.slice(1, -1)).toLowerCase();
    if (kind === 'word' && ['values', 'over', 'window'].includes(word)) return false;
    if (kind === 'word' && word === 'select') found.selects += 1;
    if (kind !== 'blank' && tables.has(word)) found.tables += 1;
  }
  return found.selects === 1 && found.tables <= 1 && found.bars <= mostBars;
}
