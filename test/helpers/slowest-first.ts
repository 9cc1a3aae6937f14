import {BaseSequencer, type TestSequencerConstructor, type TestSpecification} from 'vitest/node';

/**
 * Vitest begins with the largest files. Small ones that take minutes would be alone at the end.
 * @param files from the folder of all tests on, without their ending
 */
export function slowestFirst(...files: string[]): TestSequencerConstructor {
  const isSlow = ({moduleId}: TestSpecification) => files.some((file) => moduleId.endsWith(`/test/${file}.test.ts`));
  return class extends BaseSequencer {
    override async sort(specifications: TestSpecification[]): Promise<TestSpecification[]> {
      const sorted = await super.sort(specifications);
      return [...sorted.filter(isSlow), ...sorted.filter((one) => !isSlow(one))];
    }
  };
}
