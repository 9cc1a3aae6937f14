import {createHash} from 'node:crypto';
import {globSync, readFileSync} from 'node:fs';

const root = `${import.meta.dirname}/../..`;

/**
 * The seed of all random tests, below 1e9. Every change of the code or its tests brings new cases, and the same code
 * has the same cases on every machine: a run that passed passes again. `BKP_TEST_SEED` repeats a case that a failed
 * test printed; with `BKP_TEST_SEED=random`, each run looks somewhere else.
 */
export function seedOfCheckout(given = process.env.BKP_TEST_SEED): number {
  if (given === 'random') return Date.now() % 1e9;
  if (given !== undefined) return Number(given);
  const hash = createHash('sha256');
  for (const file of globSync(['src/**/*.{ts,tsx}', 'test/**/*.{ts,tsx}'], {cwd: root}).sort()) {
    hash.update(`${file}\n`).update(readFileSync(`${root}/${file}`));
  }
  return hash.digest().readUInt32LE() % 1e9;
}
