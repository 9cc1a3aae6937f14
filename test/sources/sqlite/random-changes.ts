import {expect} from 'vitest';
import fc from '../../seeds/fast-check.ts';
import {type Backup, type Form, streamsOf, takeFull, takeIncrement} from '../layers.ts';
import {Database, expectComesBack, full, increment, owner} from './database.ts';
import {attempt, changeArbitrary, type RandomTable, tableArbitrary} from './random-tables.ts';

type Step = {change: string} | 'full' | 'increment';
type Plan = {table: RandomTable; steps: readonly Step[]; form: Form};

const planArbitrary: fc.Arbitrary<Plan> = tableArbitrary.chain((table) => {
  const change = changeArbitrary(table).map((text) => ({change: text}));
  const backup = fc.constantFrom('full' as const, 'increment' as const, 'increment' as const);
  return fc.record({
    table: fc.constant(table),
    form: fc.constantFrom<Form>('rows', undefined, undefined),
    steps: fc.array(fc.oneof({weight: 7, arbitrary: change}, {weight: 1, arbitrary: backup}), {
      minLength: 5,
      maxLength: 60,
    }),
  });
});

function fresh({table}: Plan): Database | undefined {
  try {
    return new Database(`PRAGMA synchronous = OFF; ${table.schema}`);
  } catch {
    // Not every random index fits every random table.
    return undefined;
  }
}

async function refused(database: Database, {table}: Plan): Promise<boolean> {
  return (await database.source.describe(table.tables)).some(
    (facts) => facts.state !== 'present' || facts.fullOnly !== undefined,
  );
}

/** Whatever happens to a table, each backup restores it unchanged. */
export async function checkBackups(runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(planArbitrary, async (plan) => {
      const database = fresh(plan);
      if (database === undefined || (await refused(database, plan))) return;
      let last: Backup | undefined;
      for (const step of [...plan.steps, 'increment' as const]) {
        if (typeof step === 'object') {
          attempt(database, step.change);
          continue;
        }
        last =
          step === 'full' || last === undefined
            ? await full(database, plan.table.tables, last, plan.form)
            : await increment(database, last, plan.form);
        await expectComesBack(database, last);
      }
      database.close();
    }),
    {numRuns: runs},
  );
}

/** Writes of another connection during a backup are in the next increment. */
export async function checkWritesMeanwhile(runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(planArbitrary, async (plan) => {
      const database = fresh(plan);
      if (database === undefined || (await refused(database, plan))) return;
      database.exec('PRAGMA journal_mode = WAL');
      const changes = plan.steps.filter((step) => typeof step === 'object' && step.change !== 'VACUUM');
      const next = () => {
        const step = changes.shift();
        if (typeof step === 'object') attempt(database, step.change);
      };
      for (let n = 0; n < 5; n++) next();
      let last = await takeFull(database.source, {tables: plan.table.tables, track: {owner}, form: plan.form});
      while (changes.length > 0) {
        next();
        last = await takeIncrement(database.source, owner, last, {meanwhile: next, form: plan.form});
        last = await takeIncrement(database.source, owner, last, {form: plan.form});
        await expectComesBack(database, last);
      }
      database.close();
    }),
    {numRuns: runs},
  );
}

/** Segments of a table without changes are the same bytes in the next base. */
export async function checkSameSegments(runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(planArbitrary, async (plan) => {
      const database = fresh(plan);
      if (database === undefined || (await refused(database, plan))) return;
      for (const step of plan.steps) if (typeof step === 'object') attempt(database, step.change);
      const first = await full(database, ['t'], undefined, plan.form);
      attempt(database, 'VACUUM');
      const second = await full(database, ['t'], first, plan.form);
      const bytesIn = (backup: Backup) =>
        streamsOf(backup, 't').map(({segments}) => segments.map(({bytes}) => Buffer.from(bytes).toString('hex')));
      expect(bytesIn(second)).toEqual(bytesIn(first));
      database.close();
    }),
    {numRuns: runs},
  );
}
