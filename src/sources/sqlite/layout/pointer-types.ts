/** Of entries of pointer maps, https://www.sqlite.org/fileformat2.html#pointer_map_or_ptrmap_pages. */
export const pointerTypes = {
  /** The first page of a chain; its parent is the page with the cell. */
  firstOverflow: 3,
  /** Its parent is the overflow page before. */
  nextOverflow: 4,
  /** A page of a tree that is not its root; its parent is an inner page. */
  child: 5,
} as const;
