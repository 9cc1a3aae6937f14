import {BkpError} from '../../errors/index.ts';

export const defaultPageSize = 10;
/** Larger values are reduced to this silently, as YDB does. */
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
      next: 'use the token that the previous page printed as "Next page token"',
    });
  }
  return Math.max(1, Number(text));
}

/** @returns the window of rows; callers read one row more than `size` to find out whether another page follows */
export function pageWindow(page: number, pageSize: number): {size: number; offset: number} {
  const size = Math.min(largestPageSize, Math.max(1, Math.trunc(pageSize)));
  // A page far past the end is empty; a larger offset would not be an exact integer.
  const offset = Math.min((Math.max(1, Math.trunc(page)) - 1) * size, Number.MAX_SAFE_INTEGER);
  return {size, offset};
}
