/**
 * A value as a database stores it; integers are bigint, every number is a real one, `digits` are those of a decimal
 * number.
 */
export type ExactValue = null | bigint | number | string | boolean | Uint8Array | {digits: string};

/**
 * JSON that loses nothing: integers have all their digits, a real number has a point or an exponent, and bytes are
 * `{"base64": "…"}`. An infinite number becomes one that readers take for infinite.
 */
export function exactJson(value: ExactValue): string {
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return realText(value);
  if (value !== null && typeof value === 'object' && 'digits' in value) return value.digits;
  if (value instanceof Uint8Array) return `{"base64":"${Buffer.from(value).toString('base64')}"}`;
  return JSON.stringify(value);
}

/** Of an object with these members, in this order. */
export function exactJsonObject(members: ReadonlyMap<string, ExactValue>): string {
  const pairs = [...members].map(([name, value]) => `${JSON.stringify(name)}:${exactJson(value)}`);
  return `{${pairs.join(',')}}`;
}

/** With a point or an exponent, so that it does not look like an integer. */
export function realText(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? '9e999' : '-9e999';
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}
