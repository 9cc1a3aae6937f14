/** How a call ended; src/sources/sqlite/pages/extractor.ts knows these numbers. */
export const enum Outcome {
  done = 0,
  /** The next record would bring the output beyond its limit. */
  full = 1,
  /** The next record is larger than any output may be. */
  tooLarge = 2,
  /** The page is damaged: {@link fault}. */
  fault = 3,
}

/** What is wrong with a page; src/sources/sqlite/pages/faults.ts has a sentence for each. */
export const enum Fault {
  none = 0,
  notTableLeaf = 1,
  notKeyLeaf = 2,
  notKeyInner = 3,
  header = 4,
  freeBlocks = 5,
  cellPointer = 6,
  cellEnd = 7,
  overlap = 8,
  space = 9,
  rowidOrder = 10,
  rowidBounds = 11,
  payload = 12,
  record = 13,
}

/** Of the last call with the outcome `fault`. */
export let fault: Fault = Fault.none;

/** @returns false, for checks that return whether all is well */
export function refuse(what: Fault): bool {
  fault = what;
  return false;
}

/** @returns the outcome `fault` */
export function damaged(what: Fault): Outcome {
  fault = what;
  return Outcome.fault;
}
