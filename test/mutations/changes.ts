import type {Mutant} from './mutant.ts';

const requirements = 'src/sources/sqlite/snapshot/requirements.ts';
const backup = 'src/collections/backup/backup.ts';
const alter = 'test/e2e/alter.test.ts';
const joined = 'an increment has all rows of a table that joined, and a table that left loses its tracking';
const chain = 'test/sources/sqlite/chain.test.ts';
const drilled = 'test/long/database-drill.test.ts';
const questdb = 'test/long/questdb-restored.test.ts';

/** Tables that join, leave or change between backups, and what a drill finds in a restored database. */
export const changeMutants: readonly Mutant[] = [
  {
    name: 'ALTER: the increment does not say what joined and left',
    file: 'src/collections/backup/chain.ts',
    from: 'const joined = tables.filter((table) => !before.includes(table));',
    to: 'const joined = tables.filter((table) => before.length < 0 && table);',
    killedBy: [alter, joined],
  },
  {
    name: 'ALTER: a table that left keeps its tracking',
    file: backup,
    from: 'if (mark !== undefined) await source.acknowledge(definition.id, mark);',
    to: 'if (mark !== undefined) void source;',
    killedBy: [alter, joined],
  },
  {
    name: 'ALTER: tracking stays when increments are switched off',
    file: 'src/app/statements/collections.ts',
    from: 'withSource(deps, place, async (source) => source.untrack(owner));',
    to: 'withSource(deps, place, async () => owner);',
    killedBy: [alter, 'switching increments off removes the tracking'],
  },
  {
    name: 'increments: an altered table continues',
    file: requirements,
    from: 'if (fingerprintOf(table) !== since.fingerprints[table.name])',
    to: "if (fingerprintOf(table) === '')",
    killedBy: [chain, 'DROP COLUMN'],
  },
  {
    name: 'increments: a table whose triggers are missing continues',
    file: requirements,
    from: 'if (fault !== undefined) return `its changes were not tracked',
    to: "if (fault === '') return `its changes were not tracked",
    killedBy: [chain, 'a trigger was dropped'],
  },
  {
    name: 'increments: a table whose log lost rows continues',
    file: requirements,
    from: 'if (!logReachesTo(connection, table.name, seq)) return',
    to: 'if (seq < 0 && logReachesTo(connection, table.name, seq)) return',
    killedBy: [chain, 'the log was emptied before the last changes'],
  },
  {
    name: 'increments: another database continues the chain',
    file: requirements,
    from: 'if (table === undefined || isMarkKnown(connection, owner, mark)) return;',
    to: 'if (table !== connection.path) return;',
    killedBy: [chain, 'the database was replaced by another one'],
  },
  {
    name: "drill of a database: SQLite's integrity_check finds nothing",
    file: 'src/sources/sqlite/file/restored.ts',
    from: '...damage.map((fault) =>',
    to: '...damage.slice(damage.length).map((fault) =>',
    killedBy: [drilled, 'a backup of a damaged database fails its drill, although every byte is that of the backup'],
  },
  {
    name: 'drill of QuestDB: files that are missing or too short are no fault',
    file: 'src/sources/questdb/listing/restored-files.ts',
    from: "(error.code === 'UNSUPPORTED' ? unknown : faults).push(error.message);",
    to: 'unknown.push(error.message);',
    killedBy: [questdb, 'every file of a partition that is missing or too short is found'],
  },
  {
    name: 'drill of QuestDB: other rows than the backup recorded are no fault',
    file: 'src/sources/questdb/listing/restored-files.ts',
    from: 'else if (rows !== undefined && present !== rows)',
    to: 'else if (rows === -1)',
    killedBy: [questdb, 'a table that is missing, or has other rows than the backup recorded, is found'],
  },
  {
    name: 'drill of QuestDB: a missing table is no fault',
    file: 'src/sources/questdb/listing/restored-files.ts',
    from: 'if (present === undefined) faults.push(',
    to: 'if (present === undefined) void (',
    killedBy: [questdb, 'a table that is missing, or has other rows than the backup recorded, is found'],
  },
  {
    name: 'drill of QuestDB: what the server counts is not compared',
    file: 'src/sources/questdb/restore/restored.ts',
    from: 'else if (expected !== undefined && rows !== expected)',
    to: 'else if (rows === -1)',
    killedBy: [questdb, 'a server that counts fails the drill'],
  },
];
