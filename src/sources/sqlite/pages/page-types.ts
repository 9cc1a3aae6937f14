/** The first byte of a page of a b-tree, https://www.sqlite.org/fileformat2.html#b_tree_pages. */
export const leafType = {rowid: 13, key: 10} as const;
export const innerType = {rowid: 5, key: 2} as const;

/** The page that SQLite locks bytes of, and never uses: https://www.sqlite.org/fileformat2.html#the_lock_byte_page. */
export const lockBytePage = (pageBytes: number): number => 0x40000000 / pageBytes + 1;

/**
 * Bytes of a payload that are in its cell; an overflow chain holds the rest
 * (https://www.sqlite.org/fileformat2.html#cell_payload_overflow_pages).
 * @param kind `rowid`: a leaf of a rowid tree; `key`: any page of the others
 */
export function localBytes(payloadBytes: number, usableBytes: number, kind: 'rowid' | 'key'): number {
  const most = kind === 'rowid' ? usableBytes - 35 : Math.floor(((usableBytes - 12) * 64) / 255) - 23;
  if (payloadBytes <= most) return payloadBytes;
  const least = Math.floor(((usableBytes - 12) * 32) / 255) - 23;
  const fitting = least + ((payloadBytes - least) % (usableBytes - 4));
  return fitting <= most ? fitting : least;
}
