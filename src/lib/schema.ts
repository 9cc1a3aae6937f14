import * as v from 'valibot';

/**
 * Data in a store or a journal may come from another version of bkp, or be damaged, so it is parsed when it is
 * read. Each room keeps the schemas beside its types.
 */
export type Schema<T> = v.GenericSchema<unknown, T>;

/**
 * @param fault creates the error; `why` says what is wrong and where: `tables.0.layers: Invalid length …`
 * @returns the value itself, including members that the schema does not know: a newer bkp may have added them
 */
export function parsed<T>(schema: Schema<T>, value: unknown, fault: (why: string) => Error): T {
  const {issues} = v.safeParse(schema, value, {abortEarly: true});
  if (issues === undefined) return value as T;
  const [issue] = issues;
  const place = v.getDotPath(issue);
  throw fault(place === null ? issue.message : `${place}: ${issue.message}`);
}

/** The same for JSON text; if it is not JSON, `why` is the message of the SyntaxError. */
export function parsedJson<T>(schema: Schema<T>, text: string, fault: (why: string) => Error): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fault((error as Error).message);
  }
  return parsed(schema, value, fault);
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
