import {quotedName, type Token} from '../lib/sqlite-tokens.ts';
import {foldAscii} from '../lib/text.ts';

/** A literal of a statement. */
export type Literal = {kind: 'integer'; value: bigint} | {kind: 'text'; value: string};

/** Holds for every row of a table that can be part of the result. */
export type Condition = {
  column: string;
  operator: '=' | '<' | '<=' | '>' | '>=';
  /** One of them, if there are several; then the operator is `=`. */
  values: readonly Literal[];
};

/**
 * Which rows of a table a statement can need, judged by its text: the comparisons with literals that are terms of the
 * WHERE of the SELECT in whose FROM the table is. Such a term is false or NULL for every row of the result that would
 * come from another row of the table, or from none: so it holds for all kinds of joins. Whatever is not certain limits
 * nothing.
 *
 * @param tokens of the statement, without blanks
 * @param options.start of the table, and `end` after it and its alias
 * @param options.names by which columns are qualified
 */
export function conditionsOn(
  tokens: readonly Token[],
  {start, end, names}: {start: number; end: number; names: readonly string[]},
): readonly Condition[] {
  const last = endOfCore(tokens, end);
  const where = atDepth(tokens, end, last).find((at) => isOneOf(tokens[at], ['where']));
  if (where === undefined) return [];
  const isAlone = isOneOf(tokens[start - 1], ['from']) && where === end;
  return termsOf(tokens.slice(where + 1, last)).flatMap((term) => conditionOf(term, names, isAlone) ?? []);
}

/** Where the SELECT of a token ends: at a closing parenthesis, a compound operator, the end of the statement. */
function endOfCore(tokens: readonly Token[], from: number): number {
  let depth = 0;
  for (let at = from; at < tokens.length; at++) {
    const {text} = tokens[at]!;
    if (text === '(') depth++;
    if (text === ')' && depth-- === 0) return at;
    if (text === ';' || (depth === 0 && isOneOf(tokens[at], ['union', 'except', 'intersect']))) return at;
  }
  return tokens.length;
}

/** Positions outside of parentheses. */
function atDepth(tokens: readonly Token[], from: number, to: number): readonly number[] {
  const found: number[] = [];
  let depth = 0;
  for (let at = from; at < to; at++) {
    const {kind, text} = tokens[at]!;
    if (kind === 'other' && text === ')') depth--;
    if (depth === 0) found.push(at);
    if (kind === 'other' && text === '(') depth++;
  }
  return found;
}

/**
 * The terms of a condition that AND connects; none if OR or CASE are in it. What follows the WHERE is taken for a part
 * of its last term.
 */
function termsOf(tokens: readonly Token[]): readonly (readonly Token[])[] {
  const outside = atDepth(tokens, 0, tokens.length);
  // The last three begin a subquery.
  if (outside.some((at) => isOneOf(tokens[at], ['or', 'case', 'select', 'values', 'with']))) return [];
  const terms: (readonly Token[])[] = [];
  let from = 0;
  let betweens = 0;
  for (const at of outside) {
    if (isOneOf(tokens[at], ['between'])) betweens++;
    if (!isOneOf(tokens[at], ['and'])) continue;
    if (betweens > 0) {
      betweens--;
      continue;
    }
    terms.push(tokens.slice(from, at));
    from = at + 1;
  }
  // GROUP, ORDER and LIMIT end the last one.
  const clause = outside.find((at) => at >= from && isOneOf(tokens[at], ['group', 'order', 'limit', 'having']));
  terms.push(tokens.slice(from, clause ?? tokens.length));
  return terms.flatMap((term) => unwrapped(term));
}

/** A term in parentheses is a condition of its own. */
function unwrapped(term: readonly Token[]): readonly (readonly Token[])[] {
  if (term[0]?.text !== '(' || term.at(-1)?.text !== ')') return [term];
  const inner = term.slice(1, -1);
  // The first parenthesis ends with the last one if nothing in between closes it.
  let depth = 0;
  for (const {kind, text} of inner) {
    if (kind === 'other' && text === '(') depth++;
    if (kind === 'other' && text === ')' && depth-- === 0) return [term];
  }
  return termsOf(inner);
}

const mirrored = {'=': '=', '<': '>', '<=': '>=', '>': '<', '>=': '<='} as const;
type Operator = keyof typeof mirrored;

/** The comparison that is the whole term. BETWEEN is two. */
function conditionOf(
  term: readonly Token[],
  names: readonly string[],
  isAlone: boolean,
): readonly Condition[] | undefined {
  const column = columnAt(term, names, isAlone);
  if (column === undefined) {
    const left = literalAt(term, 0);
    const sign = left && operatorAt(term, left.next);
    if (left === undefined || sign === undefined) return undefined;
    const rest = term.slice(sign.next);
    const right = columnAt(rest, names, isAlone);
    if (right === undefined || right.next !== rest.length) return undefined;
    return [{column: right.name, operator: mirrored[sign.operator], values: [left.literal]}];
  }
  const {name, next} = column;
  if (isOneOf(term[next], ['in'])) {
    const values = listAt(term, next + 1);
    return values && [{column: name, operator: '=', values}];
  }
  if (isOneOf(term[next], ['between'])) {
    const from = literalAt(term, next + 1);
    if (from === undefined || !isOneOf(term[from.next], ['and'])) return undefined;
    const to = literalAt(term, from.next + 1);
    if (to?.next !== term.length) return undefined;
    return [
      {column: name, operator: '>=', values: [from.literal]},
      {column: name, operator: '<=', values: [to.literal]},
    ];
  }
  const sign = operatorAt(term, next);
  const value = sign && literalAt(term, sign.next);
  if (sign === undefined || value?.next !== term.length) return undefined;
  return [{column: name, operator: sign.operator, values: [value.literal]}];
}

/** A column, qualified or, if the table is the only one, alone. */
function columnAt(
  term: readonly Token[],
  names: readonly string[],
  isAlone: boolean,
): {name: string; next: number} | undefined {
  const [first, dot, second] = term;
  if (dot?.text === '.') {
    const [qualifier, name] = [nameOf(first), nameOf(second)];
    const isOurs = qualifier !== undefined && names.some((own) => foldAscii(own) === foldAscii(qualifier));
    return isOurs && name !== undefined ? {name, next: 3} : undefined;
  }
  const name = nameOf(first);
  return isAlone && name !== undefined ? {name, next: 1} : undefined;
}

/** Text in single quotes is a value where a column is expected. */
function nameOf(token: Token | undefined): string | undefined {
  return token?.kind === 'word' ? token.text : token && quotedName(token.text);
}

/** SQLite's lexer takes `<=` and `==` as one sign; here each is two tokens. */
function operatorAt(term: readonly Token[], at: number): {operator: Operator; next: number} | undefined {
  const [one, two] = [term[at]?.text, term[at + 1]?.text];
  if (one === '=') return {operator: '=', next: two === '=' ? at + 2 : at + 1};
  if (one !== '<' && one !== '>') return undefined;
  if (two === '=') return {operator: `${one}=`, next: at + 2};
  // `<>`, `<<` and `>>` are other operators; `< >` with a blank in between is not valid.
  return two === '<' || two === '>' ? undefined : {operator: one, next: at + 1};
}

function listAt(term: readonly Token[], at: number): readonly Literal[] | undefined {
  if (term[at]?.text !== '(') return undefined;
  const values: Literal[] = [];
  for (let next = at + 1; ; ) {
    const value = literalAt(term, next);
    if (value === undefined) return undefined;
    values.push(value.literal);
    const {text} = term[value.next] ?? {text: ''};
    if (text === ')') return value.next + 1 === term.length ? values : undefined;
    if (text !== ',') return undefined;
    next = value.next + 1;
  }
}

const [least, most] = [-(2n ** 63n), 2n ** 63n - 1n];

/** A whole number that SQLite stores as an integer, or a text. */
function literalAt(term: readonly Token[], at: number): {literal: Literal; next: number} | undefined {
  const token = term[at];
  if (token?.kind === 'string') {
    return {literal: {kind: 'text', value: token.text.slice(1, -1).replaceAll("''", "'")}, next: at + 1};
  }
  const isNegative = token?.text === '-';
  const digits = term[isNegative ? at + 1 : at];
  if (digits?.kind !== 'other' || !/^\d+$/.test(digits.text)) return undefined;
  const next = isNegative ? at + 2 : at + 1;
  // `1.5` and `1e5` go on after the digits.
  if (term[next]?.text === '.') return undefined;
  const value = isNegative ? -BigInt(digits.text) : BigInt(digits.text);
  return value >= least && value <= most ? {literal: {kind: 'integer', value}, next} : undefined;
}

function isOneOf(token: Token | undefined, words: readonly string[]): boolean {
  return token?.kind === 'word' && words.includes(token.text.toLowerCase());
}
