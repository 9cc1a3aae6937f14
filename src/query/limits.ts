import {BkpError} from '../errors/index.ts';

/** What one SELECT may take; more is an error, and an answer is never cut. */
export type SelectLimits = {
  rows: number;
  /** For the statement itself, without what the views take to come up with their rows. */
  seconds: number;
  /** For its sorting and joining, and again for its answer. */
  mebibytes: number;
};

/** What a person can still look through is far less; a program that wants more has LIMIT and OFFSET. */
export const defaultLimits: SelectLimits = {rows: 100_000, seconds: 30, mebibytes: 256};

export type Exceeded = keyof SelectLimits;

export function tooMuch(what: Exceeded, limits: SelectLimits): BkpError {
  const next = `bkp config set select.limit.${what} ${2 * limits[what]} allows more`;
  switch (what) {
    case 'rows':
      return new BkpError('BAD_REQUEST', `the SELECT has more than ${limits.rows} rows`, {
        next: `end it with LIMIT; ${next}`,
      });
    case 'mebibytes':
      return new BkpError('BAD_REQUEST', `the SELECT needs more than ${limits.mebibytes} MiB of memory`, {
        cause: 'it combines very many rows, or long texts',
        next: `select fewer columns, end it with LIMIT, give each join its condition; ${next}`,
      });
    case 'seconds':
      return new BkpError('TIMEOUT', `the SELECT did not end within ${limits.seconds} seconds`, {
        cause: 'it combines very many rows',
        next: `give each join its condition: … FROM a() JOIN b() ON a.x = b.x; ${next}`,
      });
  }
}
