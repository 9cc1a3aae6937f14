import type {Value} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import type {Key, KeyPart} from '../schema/table.ts';

/**
 * The exact key between two segments: each part with its storage class, because JSON has neither 64-bit
 * integers nor bytes, and an SQLite text can be any bytes in the database's encoding (hexadecimal here).
 */
export type Boundary = readonly BoundaryPart[];
type BoundaryPart = readonly ['integer' | 'real' | 'text' | 'blob', string];

/** SQL with the values of its parameters. */
export type Fragment = {sql: string; params: readonly Value[]};

/** Columns of a SELECT that {@link boundaryOf} reads: `expressions` in the order of the key. */
export function boundaryColumns(expressions: readonly string[]): string {
  return expressions
    .flatMap((expression, i) => [
      `typeof(${expression}) AS t${i}`,
      `CASE typeof(${expression}) WHEN 'text' THEN CAST(${expression} AS BLOB) ELSE ${expression} END AS v${i}`,
    ])
    .join(', ');
}

export function boundaryOf(row: Readonly<Record<string, Value>>): Boundary {
  const parts: BoundaryPart[] = [];
  for (let i = 0; row[`t${i}`] !== undefined; i++) {
    const type = row[`t${i}`] as BoundaryPart[0];
    const value = row[`v${i}`];
    parts.push([type, value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)]);
  }
  return parts;
}

/** A part as an SQL value. */
export function bound([type, text]: BoundaryPart): Fragment {
  switch (type) {
    case 'integer':
      return {sql: '?', params: [BigInt(text)]};
    case 'real':
      return {sql: '?', params: [Number(text)]};
    case 'blob':
      return {sql: '?', params: [Buffer.from(text, 'hex')]};
    case 'text':
      // The CASE removes the affinity that CAST would bring into the comparison: it would convert the integers
      // of a column without a type to text.
      return {sql: 'CASE WHEN 1 THEN CAST(? AS TEXT) END', params: [Buffer.from(text, 'hex')]};
  }
}

/** Keys after `after` up to and including `upTo`, in the order of the key; without rows that have a NULL in the key. */
export function keyRange(key: Key, after: Boundary | undefined, upTo: Boundary | undefined): Fragment {
  const terms: string[] = [];
  const params: Value[] = [];
  const compare = (left: string, operator: string, parts: Boundary) => {
    const right = parts.map(bound);
    terms.push(`${left} ${operator} ${rowValue(right.map((part) => part.sql))}`);
    params.push(...right.flatMap((part) => part.params));
  };
  const row = rowValue(keyExpressions(key));
  const first = key.kind === 'columns' ? key.parts[0]! : undefined;
  // SQLite uses no index for a row value with COLLATE, but does for its first column alone.
  const lead =
    key.kind === 'columns' && key.parts.length > 1 && key.parts.some((part) => part.explicit)
      ? comparable(first!)
      : undefined;
  if (after !== undefined) {
    if (lead !== undefined) compare(lead, '>=', after.slice(0, 1));
    compare(row, '>', after);
  }
  if (upTo !== undefined) {
    if (lead !== undefined) compare(lead, '<=', upTo.slice(0, 1));
    compare(row, '<=', upTo);
  }
  if (key.kind === 'columns') {
    for (const part of key.parts) if (!part.notNull) terms.push(`t.${quoteName(part.column)} IS NOT NULL`);
  }
  return {sql: terms.length === 0 ? '1' : terms.join(' AND '), params};
}

/** Which parts of the key may be NULL: SQLite's primary keys allow it for historical reasons, in any number of rows. */
export function nullable(key: Key): readonly number[] {
  return key.kind === 'rowid' ? [] : [...key.parts.keys()].filter((part) => !key.parts[part]!.notNull);
}

/** The condition for rows with a NULL in their key; undefined when there cannot be any. */
export function nullKeys(key: Key): string | undefined {
  const names = keyExpressions(key);
  const nulls = nullable(key).map((part) => `${names[part]} IS NULL`);
  return nulls.length === 0 ? undefined : nulls.join(' OR ');
}

export function keyOrder(key: Key): string {
  return keyExpressions(key).join(', ');
}

/** The parts of the key in the table `t`, each comparing as the key's index does. */
export function keyExpressions(key: Key): readonly string[] {
  return key.kind === 'rowid' ? [`t.${key.alias}`] : key.parts.map(comparable);
}

export function rowValue(parts: readonly string[]): string {
  return parts.length === 1 ? parts[0]! : `(${parts.join(', ')})`;
}

/** The key of the table `t` equals the columns k0, k1, … of `k`; NULL equals NULL. */
export function keyMatches(key: Key): string {
  if (key.kind === 'rowid') return `t.${key.alias} = k.k0`;
  return key.parts.map((part, i) => `${comparable(part)} IS k.k${i}`).join(' AND ');
}

/** k0, k1, …, one for each part of the key. */
export function keyColumns(key: Key): readonly string[] {
  return key.kind === 'rowid' ? ['k0'] : key.parts.map((_, i) => `k${i}`);
}

/** `expression` compared as part `i` of the key. */
export function collated(key: Key, i: number, expression: string): string {
  return key.kind === 'rowid' ? expression : `${expression} COLLATE ${quoteName(key.parts[i]!.collation)}`;
}

function comparable(part: KeyPart): string {
  return `t.${quoteName(part.column)}${part.explicit ? ` COLLATE ${quoteName(part.collation)}` : ''}`;
}
