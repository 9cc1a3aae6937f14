import {BkpError} from '../errors/index.ts';

/** The limits of one SELECT. Exceeding one is an error; a result is never truncated. */
export type SelectLimits = {
  rows: number;
  /** For the statement itself, without the time to read the rows of its views. */
  seconds: number;
  /** For sorting and joins, and again for the result. */
  mebibytes: number;
};

/** Far more rows than a person reads; programs can use LIMIT and OFFSET. */
export const defaultLimits: SelectLimits = {rows: 100_000, seconds: 30, mebibytes: 256};

export type Exceeded = keyof SelectLimits;

export function tooMuch(what: Exceeded, limits: SelectLimits): BkpError {
  const next = `bkp config set select.limit.${what} ${2 * limits[what]} allows more`;
  switch (what) {
    case 'rows':
      return new BkpError('BAD_REQUEST', `the SELECT has more than ${limits.rows} rows`, {
        next: `add LIMIT; ${next}`,
      });
    case 'mebibytes':
      return new BkpError('BAD_REQUEST', `the SELECT needs more than ${limits.mebibytes} MiB of memory`, {
        cause: 'it combines very many rows, or returns long texts',
        next: `select fewer columns, add LIMIT, give each join a condition; ${next}`,
      });
    case 'seconds':
      return new BkpError('TIMEOUT', `the SELECT did not end within ${limits.seconds} seconds`, {
        cause: 'it combines very many rows',
        next: `give each join a condition: … FROM a() JOIN b() ON a.x = b.x; ${next}`,
      });
  }
}
