import {BkpError} from '../../errors/index.ts';

export const defaultPageSize = 10;
/** More is cut silently, as the original does. */
export const largestPageSize = 100;

/**
 * @param text a page number as text; absent, empty and `0` mean the first page
 * @returns the page, counted from 1
 * @throws BkpError `BAD_REQUEST`
 */
export function parsePageToken(text = ''): number {
  if (!/^\d*$/.test(text)) {
    throw new BkpError('BAD_REQUEST', 'Unable to parse page token', {
      cause: `${JSON.stringify(text)} is not a number`,
      next: 'use the token that the page before printed as "Next page token"',
    });
  }
  return Math.max(1, Number(text));
}

/** @returns which rows make the page: 1 row more than the page holds tells whether another page follows. */
export function pageWindow(page: number, pageSize: number): {size: number; offset: number} {
  const size = Math.min(largestPageSize, Math.max(1, Math.trunc(pageSize)));
  // A page far past any end is empty; beyond this the offset would no longer be an exact integer.
  const offset = Math.min((Math.max(1, Math.trunc(page)) - 1) * size, Number.MAX_SAFE_INTEGER);
  return {size, offset};
}
