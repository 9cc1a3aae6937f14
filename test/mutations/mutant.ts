/** One edit of the source that takes away one guard, and the test that must fail for it. */
export type Mutant = {
  /** What is gone. */
  name: string;
  file: string;
  /** A text that the file has exactly once. */
  from: string;
  to: string;
  /** The test file and the title of a test, without the titles of its groups. */
  killedBy: readonly [file: string, title: string];
};
