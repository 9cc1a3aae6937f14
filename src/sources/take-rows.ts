/**
 * A tree cannot be taken as records, although nothing is wrong with it: the caller takes the rows of its table instead.
 * The message says why, as the end of a sentence.
 */
export class TakeRows extends Error {}
