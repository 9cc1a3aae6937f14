import {expect, onTestFinished, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import {randomFrom} from '../../helpers/random-from.ts';
import {seed as firstSeed} from '../../seeds/seed.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {statementsOf} from './dumped.ts';
import {type EmptyBackup, restoreSchema, takeSchema} from './empty-backup.ts';
import {randomSchema} from './random-schema.ts';

// Whatever a schema is: a backup is refused with names, or it can be restored into an empty database.

const clusters = {15: clusterOfFile(15), 18: clusterOfFile(18)};
const cases = 12 * Number(process.env.BKP_TEST_RUNS ?? 1);

/** Statements that the server refuses are none. */
async function fill(database: TestDatabase, random: () => number): Promise<void> {
  for (const sql of randomSchema(random)) await database.exec(sql).catch(() => {});
}

/** A backup; what a refusal names is added until there is none. */
async function takeSomehow(
  {source}: TestDatabase,
  {tables, objects}: {tables: readonly string[]; objects: boolean},
): Promise<EmptyBackup | undefined> {
  const taken = [...tables];
  for (;;) {
    try {
      return await takeSchema(source, {tables: taken, objects});
    } catch (error) {
      if (!(error instanceof BkpError) || error.code !== 'UNSUPPORTED') throw error;
      expect(error.message).toMatch(/^\S.* needs the .*\S/u);
      const added = [...(error.next?.matchAll(/ADD TABLE ([^,]+)/gu) ?? [])].map(([, name]) =>
        name!.replaceAll('`', ''),
      );
      if (added.length === 0) return undefined;
      expect(taken).not.toEqual(expect.arrayContaining(added));
      taken.push(...added.filter((name) => !taken.includes(name)));
    }
  }
}

function isNamed(error: unknown, {notices}: EmptyBackup): boolean {
  return (
    error instanceof BkpError && /does not exist/u.test(error.message) && /may read a table that/u.test(notices.join())
  );
}

const name = String.raw`((?:"[^"]+"|\w+)\.\w+)`;
const ofTable = new RegExp(
  [
    `^CREATE (?:UNLOGGED )?TABLE ${name}`,
    `^ALTER TABLE (?:ONLY )?${name}`,
    `^CREATE (?:UNIQUE )?INDEX .*? ON (?:ONLY )?${name}`,
    `^CREATE STATISTICS [^]*? FROM (?:ONLY )?${name}`,
    `^COMMENT ON TABLE ${name}`,
    `^CREATE (?:TRIGGER|POLICY|RULE) [^]*? (?:ON|TO) ${name}`,
  ].join('|'),
  'u',
);
const ofSequence = new RegExp(`^(?:CREATE|ALTER) SEQUENCE ${name}`, 'u');
const owned = new RegExp(String.raw`^ALTER SEQUENCE ${name} OWNED BY ${name}\.`, 'u');

/** Names the table of a statement. A sequence is of the table that owns it, whatever it is called. */
function tableIn(statements: readonly string[]): (statement: string) => string | undefined {
  const owners = new Map(
    statements.flatMap((statement) => {
      const [, sequence, table] = owned.exec(statement) ?? [];
      return sequence === undefined ? [] : [[sequence, table] as const];
    }),
  );
  return (statement) => {
    const sequence = ofSequence.exec(statement)?.[1];
    if (sequence !== undefined) return owners.get(sequence);
    return ofTable
      .exec(statement)
      ?.slice(1)
      .find((found) => found !== undefined);
  };
}

const namesIn = (text: string) =>
  [...text.matchAll(new RegExp(name, 'gu'))].map(([found]) => found.replaceAll('"', ''));

for (const version of [15, 18] as const) {
  test(`a backup of PostgreSQL ${version} is refused, or can be restored (seeds from ${firstSeed})`, async () => {
    let restored = 0;
    for (let at = 0; at < cases; at++) {
      const seed = firstSeed + at;
      const random = randomFrom(seed);
      const database = await clusters[version]().create();
      const target = await clusters[version]().create();
      onTestFinished(async () => {
        await database.close();
        await target.close();
      });
      await fill(database, random);
      const all = (await database.source.describe('all')).map((facts) => facts.name);
      const objects = random() < 0.5;
      const tables = all.filter(() => random() < (objects ? 0.9 : 0.4));
      const where = `seed ${seed}, ${objects ? 'DATABASE' : 'named'} ${tables.join(', ')}`;
      const backup = await takeSomehow(database, {tables, objects}).catch((error: unknown) => {
        throw new Error(where, {cause: error});
      });
      if (backup === undefined) continue;
      restored++;
      const notices = await restoreSchema(target.source, backup).catch((error: unknown) => {
        // What the text of a function reads is no part of a closure: it is named.
        if (isNamed(error, backup)) return undefined;
        throw new Error(where, {cause: error});
      });
      if (notices === undefined) continue;
      const [there, here] = [clusters[version](), clusters[version]()].map((cluster, which) =>
        statementsOf(cluster, which === 0 ? target.name : database.name),
      );
      expect(
        there!.filter((statement) => !here!.includes(statement)),
        where,
      ).toEqual([]);
      // What does not come is named, or belongs to a table that was not asked for.
      const named = new Set(namesIn([...backup.notices, ...notices].join(' ')));
      const tableOf = tableIn(here!);
      const present = new Set(there!.filter((statement) => !ofSequence.test(statement)).map(tableOf));
      const isExcused = (statement: string) => {
        // The end of a body, and what is said with the object itself.
        if (/^(?:END|ALTER (?!TABLE|SEQUENCE).* OWNER TO .*)$/u.test(statement)) return true;
        const table = tableOf(statement);
        if (table !== undefined ? !present.has(table) : !objects) return true;
        return namesIn(statement).some((one) => named.has(one));
      };
      const lost = here!.filter((statement) => !there!.includes(statement) && !isExcused(statement));
      expect(lost, `${where}\n${[...backup.notices, ...notices].join('\n')}`).toEqual([]);
    }
    expect(restored).toBeGreaterThan(0);
  });
}
