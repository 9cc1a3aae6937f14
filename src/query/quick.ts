import {tokensOf} from '../lib/sqlite-tokens.ts';
import type {Catalogue} from './catalogue.ts';
import type {Accesses} from './guard.ts';

/** Functions whose result is not longer than their arguments, and whose time is proportional to their length. */
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

/** Longer than a typed question about one view. */
const longestText = 4096;

/** Each `||` makes a value longer. */
const mostBars = 8;

/**
 * Whether a statement certainly stays within the limits and can run in this process.
 * @returns true when it reads at most one view, once, and its result is about as large as the view. False: it may
 * still be quick
 * @param text the statement as SQLite receives it
 * @param tables every name that can follow FROM, in lower case; besides these only VALUES and a SELECT can
 */
export function isQuick(text: string, tables: ReadonlySet<string>, accesses: Accesses, {scalars}: Catalogue): boolean {
  if (text.length > longestText) return false;
  const functions = [...accesses.functions];
  if (!functions.every((name) => cheapFunctions.has(name) || Object.hasOwn(scalars, name))) return false;
  const found = {selects: 0, tables: 0, bars: 0};
  for (const {kind, text: written} of tokensOf(text, {foreignBlanks: true})) {
    if (written === '|') found.bars += 1;
    // SQLite also accepts a string where only a name is possible.
    const word = (kind === 'word' ? written : written.slice(1, -1)).toLowerCase();
    if (kind === 'word' && ['values', 'over', 'window'].includes(word)) return false;
    if (kind === 'word' && word === 'select') found.selects += 1;
    if (kind !== 'blank' && tables.has(word)) found.tables += 1;
  }
  return found.selects === 1 && found.tables <= 1 && found.bars <= mostBars;
}
