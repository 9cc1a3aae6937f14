import type {Mutant} from './mutant.ts';

const restore = 'src/collections/restore/restore.ts';
const plan = 'src/collections/restore/plan.ts';
const details = 'src/collections/restore/plan-details.ts';
const find = 'src/collections/stored/find.ts';
const foreignKeys = 'src/sources/sqlite/restore/foreign-keys.ts';
const merge = 'src/sources/sqlite/merge/merge.ts';
const some = 'test/collections/restore/some-tables.test.ts';
const plans = 'test/collections/restore/plan.test.ts';
const dangling = 'test/collections/restore/foreign-keys.test.ts';
const found = 'test/collections/stored/find.test.ts';
const merged = 'test/sources/sqlite/merge.test.ts';

/** What a user asks of a restore, and what a dry run says of it. */
export const restoreMutants: readonly Mutant[] = [
  {
    name: 'restore: all tables come, whatever was named',
    file: restore,
    from: 'const parts = restoredParts(backup, request.choice);',
    to: 'const parts = restoredParts(backup, undefined);',
    killedBy: [some, 'into a new database brings the named tables only, in any case of their names'],
  },
  {
    name: 'restore: AS is ignored',
    file: restore,
    from: '(chosen.as === undefined ? [] : [[chosen.name, chosen.as] as const])',
    to: '[]',
    killedBy: ['test/collections/restore/renamed-tables.test.ts', 'comes from a chain with changes after its base'],
  },
  {
    name: 'restore: a trigger of a copy may write to a living table',
    file: 'src/sources/sqlite/choice/rename.ts',
    from: 'return other === undefined ? undefined : ',
    to: 'return other === other ? undefined : ',
    killedBy: [
      'test/collections/restore/renamed-tables.test.ts',
      'has no trigger that would write to a living table, and none that cannot be moved',
    ],
  },
  {
    name: 'restore: rows that lead nowhere are not reported',
    file: foreignKeys,
    from: 'if (count === 0n) continue;',
    to: 'continue;',
    killedBy: [dangling, 'rows that lead to no row of a living table are counted, with an example'],
  },
  {
    name: 'restore: living rows that lead nowhere afterwards are not reported',
    file: foreignKeys,
    from: 'folded.has(foldName(child)) !== folded.has(foldName(parent))',
    to: 'folded.has(foldName(child)) && !folded.has(foldName(parent))',
    killedBy: [dangling, 'the same holds for living rows that lead to a restored table'],
  },
  {
    name: 'restore: a parent that the target lacks is not reported',
    file: foreignKeys,
    from: 'notice(missingParent(crossing));',
    to: '',
    killedBy: [dangling, 'a table that refers to one that the target lacks is restored, and the user learns of it'],
  },
  {
    name: 'AT: latest is the oldest backup',
    file: find,
    from: 'const newest = backups.at(-1);',
    to: 'const newest = backups.at(0);',
    killedBy: [found, 'AT finds a backup by name, by the time part of a name, or as the newest at or before a time'],
  },
  {
    name: 'AT: a time means the oldest backup before it',
    file: find,
    from: 'backups.toReversed()',
    to: 'backups',
    killedBy: [found, 'AT finds a backup by name, by the time part of a name, or as the newest at or before a time'],
  },
  {
    name: 'AT: the time of the statement counts, not that of the snapshot',
    file: find,
    from: 'Date.parse(body.takenAt) <= atMs',
    to: 'takenAtMs(body) <= atMs',
    killedBy: [found, 'AT with a time never means a backup that was taken later, though its statement was not'],
  },
  {
    name: 'dry run: nothing is proposed where tables exist',
    file: plan,
    from: 'findings.refusal ?? found ?? findings.obstacle',
    to: 'findings.refusal ?? findings.obstacle',
    killedBy: [plans, 'every statement that an obstacle proposes has the target that the user named'],
  },
  {
    name: 'dry run: indexes that are built count as fetched',
    file: details,
    from: 'const loaded = await source.treesToLoad?.(schemas, bases);',
    to: 'const loaded = undefined as ReadonlyMap<string, ReadonlySet<string>> | undefined;',
    killedBy: [plans, 'the bytes to fetch are those that the restore reads: not those of indexes that it builds'],
  },
  {
    name: 'dry run: what a new name changes is not said',
    file: details,
    from: '...(choice?.notices ?? []), ',
    to: '',
    killedBy: [plans, 'the notices of a plan are those of the restore'],
  },
  {
    name: 'merge: new rows are deleted',
    file: merge,
    from: "if (mode === 'replace') connection.run(",
    to: 'connection.run(',
    killedBy: [merged, 'merge brings back deleted and changed rows and keeps new ones, replace removes these'],
  },
  {
    name: 'replace: new rows stay',
    file: merge,
    from: "if (mode === 'replace') connection.run(",
    to: "if (mode === 'neither') connection.run(",
    killedBy: [merged, 'merge brings back deleted and changed rows and keeps new ones, replace removes these'],
  },
  {
    name: "merge: the application's triggers fire",
    file: merge,
    from: 'for (const {name} of table.triggers) connection.exec(',
    to: 'for (const {name} of [] as {name: string}[]) connection.exec(',
    killedBy: [merged, 'the triggers of the application do not fire, are named, and are there afterwards as they were'],
  },
  {
    name: 'progress: each phase begins at nothing',
    file: 'src/collections/restore/phases.ts',
    from: 'sum(order.slice(0, current)) + ',
    to: '',
    killedBy: [
      'test/collections/restore/phases.test.ts',
      'loading is a part of a restore, and each later phase begins where the one before ends',
    ],
  },
];
