import * as v from 'valibot';

/**
 * What a program once wrote into a store or a journal is somebody else's by the time it is read. Each room keeps the schemas of
 * what it reads beside its types, and takes nothing that they do not.
 */
export type Schema<T> = v.GenericSchema<unknown, T>;

/**
 * @param fault makes the error, from what is wrong and where: `tables.0.layers: Invalid length …`
 * @returns the value itself, with members that the schema does not know: a newer bkp may have added them
 */
export function parsed<T>(schema: Schema<T>, value: unknown, fault: (why: string) => Error): T {
  const {issues} = v.safeParse(schema, value, {abortEarly: true});
  if (issues === undefined) return value as T;
  const [issue] = issues;
  const place = v.getDotPath(issue);
  throw fault(place === null ? issue.message : `${place}: ${issue.message}`);
}

/** The same for a text of JSON; for what is none, `fault` is given SyntaxError's words. */
export function parsedJson<T>(schema: Schema<T>, text: string, fault: (why: string) => Error): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fault((error as Error).message);
  }
  return parsed(schema, value, fault);
}

/** How many of something: a whole number from 0 on, exact. */
export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export const text = v.string();
/** A text that names something. */
export const name = v.pipe(v.string(), v.nonEmpty());

/** A moment as `Date` prints and reads it. */
export const time = v.pipe(
  v.string(),
  v.check((text) => !Number.isNaN(Date.parse(text)), 'Invalid time'),
);

/** Some object of whoever wrote it; its own door looks into it. */
export const opaque = v.custom<{readonly [key: string]: unknown}>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'Invalid object',
);
