import * as v from 'valibot';
import {fromJson} from './json.ts';
import {quickCheck} from './quick-check.ts';

/**
 * Data in a store or a journal may come from another version of bkp, or be damaged, so it is parsed when it is
 * read. Each room keeps the schemas beside its types.
 */
export type Schema<T> = v.GenericSchema<unknown, T>;

/**
 * @param fault creates the error; `why` says what is wrong and where: `tables.0.layers: Invalid length …`. It quotes no
 *   text of the value, which may be a secret
 * @returns the value itself, including members that the schema does not know: a newer bkp may have added them
 */
export function parsed<T>(schema: Schema<T>, value: unknown, fault: (why: string) => Error): T {
  if (quickCheck(schema)(value)) return value as T;
  const {issues} = v.safeParse(schema, value, {abortEarly: true});
  if (issues === undefined) return value as T;
  const [issue] = issues;
  const place = v.getDotPath(issue);
  const why = withoutValue(issue);
  throw fault(place === null ? why : `${place}: ${why}`);
}

/** The same for JSON text; if it is not JSON, `why` says where. */
export function parsedJson<T>(schema: Schema<T>, text: string, fault: (why: string) => Error): T {
  return parsed(schema, fromJson(text, fault), fault);
}

/** The message ends with the value that was found: `Expected string but received 4711`. */
function withoutValue({message, received, input, kind, type}: v.BaseIssue<unknown>): string {
  const isText = received.startsWith('"');
  // Numbers of versions and limits say what is wrong; where any number is, it may be a secret without its quotes.
  const isNumber = typeof input === 'number' && kind === 'schema' && type !== 'literal';
  if (!message.endsWith(received) || !(isText || isNumber)) return message;
  return `${message.slice(0, -received.length)}${isText ? 'another text' : 'a number'}`;
}

/** A number of things: an exact integer, at least 0. */
export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export const text = v.string();
/** A name: a text that is not empty. */
export const name = v.pipe(v.string(), v.nonEmpty());

/** A timestamp as `Date` prints and parses it. */
export const time = v.pipe(
  v.string(),
  v.check((text) => !Number.isNaN(Date.parse(text)), 'Invalid time'),
);

/** An object that is parsed further by the room that owns it. */
export const opaque = v.custom<{readonly [key: string]: unknown}>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'Invalid object',
);
