import type {Mutant} from './mutant.ts';

const diff = 'src/collections/diff/diff.ts';
const live = 'src/collections/diff/live.ts';
const stored = 'src/collections/diff/stored.ts';
const partial = 'src/database/restore/partial.ts';
const read = 'test/long/read-backups.test.ts';
const byKeys = [read, 'a difference of tables with keys of text or of several columns reads what changed'] as const;
const found = 'test/database/restore/partial.test.ts';
const names = [read, 'a difference reads what changed, and names rows, tables and schemas'] as const;

/** What bkp diff compares and what it may leave unread, and what a partial restore of a whole database brings. */
export const differenceMutants: readonly Mutant[] = [
  {
    name: 'diff: a segment in which a key changed is left unread',
    file: diff,
    from: 'for (const at of positions) needed.add(at);',
    to: '',
    killedBy: names,
  },
  {
    name: 'diff: every segment is read',
    file: diff,
    from: 'return new Set(ids.filter((_, at) => !needed.has(at)));',
    to: 'return new Set();',
    killedBy: byKeys,
  },
  {
    name: 'diff: deltas that only the first side has are not looked at',
    file: diff,
    from: 'keysOf(before, deltasOf(table).slice(sharedDeltas), tools.signal),',
    to: 'keysOf(before, deltasOf(table).slice(deltasOf(table).length), tools.signal),',
    killedBy: names,
  },
  {
    name: 'diff: keys that the other side changed are not looked at',
    file: diff,
    from: 'now.changedKeys(sharedDeltas),',
    to: '',
    killedBy: names,
  },
  {
    name: 'diff: what changed in a schema is not said if no row did',
    file: diff,
    from: 'if (equal && hasSameSchema) return kept;',
    to: 'if (equal) return kept;',
    killedBy: [read, 'a difference names what changed in a schema although no row did'],
  },
  {
    name: 'diff: a dropped table counts as created',
    file: diff,
    from: "state: isGone ? 'dropped' : 'created'",
    to: "state: 'created'",
    killedBy: names,
  },
  {
    name: 'diff: what the change log has is not looked at',
    file: live,
    from: 'return {equal: keys.length === 0, sharedDeltas: deltasOf(before).length};',
    to: 'return {equal: true, sharedDeltas: deltasOf(before).length};',
    killedBy: names,
  },
  {
    name: 'diff: deleted rows of the living table are not removed',
    file: live,
    from: 'for (const keys of delta.keys) await scratch.removeKeys(name, keys);',
    to: '',
    killedBy: names,
  },
  {
    name: 'diff: changed rows of the living table do not come',
    file: live,
    from: 'for await (const {bytes} of delta.rows) await scratch.load(name, bytes);',
    to: '',
    killedBy: names,
  },
  {
    name: 'diff: layers of the same number are equal',
    file: stored,
    from: 'isDeepStrictEqual(before[old.keyData.stream], after[now.keyData.stream]) &&',
    to: 'true ||',
    killedBy: [read, 'a difference of increments of two chains compares what they have'],
  },
  {
    name: 'partial restore: tables with damage come, too',
    file: partial,
    from: 'const tables = database.tables.map(({name}) => name).filter((name) => !missing.has(name));',
    to: 'const tables = database.tables.map(({name}) => name);',
    killedBy: [found, 'the tables that are intact are restored, and each of the others is named with the reason'],
  },
  {
    name: 'partial restore: what is missing is not named',
    file: partial,
    from: 'return {...(await restoreFiles({...tools, target}, {...plan, tables}).catch(reported)), missing};',
    to: 'return await restoreFiles({...tools, target}, {...plan, tables}).catch(reported);',
    killedBy: [found, 'the tables that are intact are restored, and each of the others is named with the reason'],
  },
];
