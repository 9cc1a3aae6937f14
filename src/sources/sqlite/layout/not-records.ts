/**
 * Chunks are not the records of their tree. The message is the end of a sentence: `its records are not in order`.
 */
export class NotRecords extends Error {
  override readonly name = 'NotRecords';
  /** The tree's name, if the layout knows it. */
  tree?: string;
}
