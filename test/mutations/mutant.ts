import {readFileSync} from 'node:fs';
import {join, resolve} from 'node:path';

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

const root = resolve(import.meta.dirname, '../..');

/** @throws if the source no longer has the guard in these words */
export function requireOneEdit({name, file, from, to}: Mutant): void {
  const parts = readFileSync(join(root, file), 'utf8').split(from);
  if (parts.length !== 2) throw new Error(`${name}: ${file} has its text ${parts.length - 1} times, not once: ${from}`);
  if (from === to) throw new Error(`${name}: the edit changes nothing`);
}
