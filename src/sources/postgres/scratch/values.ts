import type {ExactNumber, StoredValue} from '../../scratch.ts';

/** A column of rows in a backup. */
export type StoredColumn = {
  name: string;
  /** As `format_type` writes it. */
  type: string;
  /** The type below a domain, without modifiers; `enum`, `array`; `other` if only the server compares its texts. */
  kind: string;
};

const integers = new Set(['smallint', 'integer', 'bigint', 'oid']);
const reals = new Set(['real', 'double precision']);

export const isInteger = ({kind}: StoredColumn) => integers.has(kind);

/** Types whose values are equal if and only if their texts are. */
const equalAsText = new Set([
  ...integers,
  ...['boolean', 'text', 'character varying', 'character', '"char"', 'name', 'uuid', 'bytea', 'enum', 'inet', 'cidr'],
  ...['date', 'timestamp without time zone', 'timestamp with time zone', 'time without time zone'],
  ...['time with time zone', 'macaddr', 'macaddr8', 'pg_lsn', 'xid8'],
]);

/** The declared type in SQLite, which decides how it compares: https://www.sqlite.org/datatype3.html */
export function affinityOf({kind}: StoredColumn): string {
  if (integers.has(kind) || kind === 'boolean') return 'INTEGER';
  if (kind === 'numeric') return 'NUMERIC';
  if (reals.has(kind)) return 'REAL';
  return kind === 'bytea' ? 'BLOB' : 'TEXT';
}

/** As a SELECT sees it: SQLite converts the digits of numbers. @param text undefined: NULL */
export function comparable({kind}: StoredColumn, text: string | undefined): null | string | bigint | Uint8Array {
  if (text === undefined) return null;
  if (kind === 'boolean') return text === 't' ? 1n : 0n;
  return kind === 'bytea' ? bytesOf(text) : text;
}

/** Without any loss. */
export function exact({kind}: StoredColumn, text: string | undefined): StoredValue {
  if (text === undefined) return null;
  if (integers.has(kind)) return BigInt(text);
  if (kind === 'boolean') return text === 't';
  if (kind === 'bytea') return bytesOf(text);
  const isDecimal = kind === 'numeric' || reals.has(kind);
  return isDecimal && /^-?\d/u.test(text) ? ({digits: text} satisfies ExactNumber) : text;
}

/**
 * The same text for equal keys.
 * @returns undefined if only the server knows which values of the type are equal
 */
export function keyText({kind}: StoredColumn, text: string): string | undefined {
  if (equalAsText.has(kind)) return text;
  if (reals.has(kind)) return text === '-0' ? '0' : text;
  if (kind !== 'numeric') return undefined;
  return text.includes('.') ? text.replace(/\.?0+$/u, '') : text;
}

/** `\x` and two digits for each byte: bytea_output is hex. */
const bytesOf = (text: string) => Buffer.from(text.slice(2), 'hex');
