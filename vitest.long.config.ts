import {availableParallelism} from 'node:os';
import {defineConfig} from 'vitest/config';
import {BaseSequencer, type TestSpecification} from 'vitest/node';
import {keptCode} from './test/helpers/compiled-code.ts';

/** They take minutes. Vitest begins with the largest files, and these are small: they would be alone at the end. */
const slowest = ['mutations', 'crash', 'both-forms'].map((name) => `/test/long/${name}.test.ts`);

class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isSlow = ({moduleId}: TestSpecification) => slowest.some((name) => moduleId.endsWith(name));
    return [...sorted.filter(isSlow), ...sorted.filter((file) => !isSlow(file))];
  }
}

/** Many real processes one after the other, or killed one after the other: minutes, and so not a part of `npm test`. */
export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    sequence: {sequencer: SlowestFirst},
    testTimeout: 600_000,
    hookTimeout: 240_000,
    expect: {poll: {timeout: 60_000}},
    env: keptCode,
    // They wait for processes and disks half of their time.
    maxWorkers: availableParallelism() + 1,
  },
});
