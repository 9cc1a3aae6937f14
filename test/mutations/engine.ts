import {join, resolve} from 'node:path';
import {createVitest, type TestCase, type Vitest, type VitestPluginContext} from 'vitest/node';
import type {Mutant} from './mutant.ts';

const root = resolve(import.meta.dirname, '../..');

/** What one test did with a mutant. */
export type Outcome = {
  outcome: 'failed' | 'passed' | 'timed out' | 'did not run';
  /** The first line of the error. */
  error?: string;
};

/** Runs single tests against the source with at most one edit. One process serves all runs: starting costs seconds. */
export class Engine {
  readonly #vitest: Vitest;
  readonly #edit: {current?: Mutant};

  private constructor(vitest: Vitest, edit: {current?: Mutant}) {
    this.#vitest = vitest;
    this.#edit = edit;
  }

  static async start(): Promise<Engine> {
    const edit: {current?: Mutant} = {};
    const mutate = {
      name: 'mutate',
      enforce: 'pre' as const,
      // Vitest keeps transformed files on the disk, under a key that knows nothing of the edit.
      configureVitest({defineCacheKeyGenerator}: VitestPluginContext) {
        defineCacheKeyGenerator(() => false);
      },
      transform(code: string, id: string) {
        const mutant = edit.current;
        return mutant !== undefined && id === join(root, mutant.file)
          ? code.replace(mutant.from, () => mutant.to)
          : undefined;
      },
    };
    const vitest = await createVitest(
      'test',
      {
        root,
        config: false,
        watch: false,
        include: ['test/**/*.test.ts'],
        reporters: [{}],
        isolate: false,
        maxWorkers: 2,
        testTimeout: 60_000,
        // Some start a database server.
        hookTimeout: 120_000,
        env: {CI: 'true'},
      },
      {plugins: [mutate]},
    );
    await vitest.standalone();
    return new Engine(vitest, edit);
  }

  /** Every test of `files` whose full name matches. */
  async run(mutant: Mutant | undefined, files: readonly string[], pattern: RegExp): Promise<Map<string, Outcome>> {
    if (mutant !== undefined) {
      this.#edit.current = mutant;
      this.#vitest.invalidateFile(join(root, mutant.file));
    }
    try {
      this.#vitest.setGlobalTestNamePattern(pattern);
      const specifications = await this.#vitest.globTestSpecifications(files.map((file) => join(root, file)));
      const {testModules} = await this.#vitest.runTestSpecifications(specifications);
      const outcomes = new Map<string, Outcome>();
      // Vitest still knows the modules of the runs before.
      const ran = new Set(specifications.map(({moduleId}) => moduleId));
      for (const module of testModules.filter(({moduleId}) => ran.has(moduleId)))
        for (const test of module.children.allTests()) outcomes.set(test.fullName, outcomeOf(test));
      return outcomes;
    } finally {
      if (mutant !== undefined) {
        delete this.#edit.current;
        this.#vitest.invalidateFile(join(root, mutant.file));
      }
    }
  }

  async close(): Promise<void> {
    await this.#vitest.close();
  }
}

function outcomeOf(test: TestCase): Outcome {
  const {state, errors} = test.result();
  const error = errors?.[0]?.message.split('\n')[0];
  if (state === 'passed') return {outcome: 'passed'};
  if (state !== 'failed') return {outcome: 'did not run'};
  if (error !== undefined && /timed out in/.test(error)) return {outcome: 'timed out', error};
  return {outcome: 'failed', ...(error === undefined ? {} : {error})};
}
