import type {Mutant} from './mutant.ts';

const merge = 'src/sources/postgres/restore/merge.ts';
const bringBack = 'src/sources/postgres/restore/bring-back.ts';
const compared = 'src/sources/postgres/restore/compared.ts';
const fit = 'src/sources/postgres/restore/merge-fit.ts';
const references = 'src/sources/postgres/restore/references.ts';
const sequences = 'src/sources/postgres/restore/sequences.ts';
const silenced = 'src/sources/postgres/restore/silenced.ts';
const later = 'src/sources/postgres/restore/build-later.ts';
const merged = 'test/servers/postgres/merge.test.ts';
const referring = 'test/servers/postgres/merge-references.test.ts';
const left = 'test/servers/postgres/left-indexes.test.ts';

const asItsDryRun = (mode: string) =>
  [merged, `${mode} brings rows back, exactly as its dry run says, and increments continue`] as const;
const acting = 'a key that acts on rows of a table that is not named refuses, of any type and for any change';
const setBack = 'sequences that were set back continue behind the rows of the backup, and others stay';
const leftIndexes = 'rows come back without the indexes that they do not allow any more, and the result names these';

/** What PostgreSQL's merge brings back and leaves alone, what a restore may lack, and how rows are found by keys. */
export const postgresMutants: readonly Mutant[] = [
  {
    name: 'postgres merge: new rows are deleted',
    file: bringBack,
    from: "const gone = mode === 'replace' ? await change.delete(pair) : await change.gone(pair);",
    to: 'const gone = await change.delete(pair);',
    killedBy: asItsDryRun('merge'),
  },
  {
    name: 'postgres replace: new rows stay',
    file: bringBack,
    from: "const gone = mode === 'replace' ? await change.delete(pair) : await change.gone(pair);",
    to: 'const gone = await change.gone(pair);',
    killedBy: asItsDryRun('replace'),
  },
  {
    name: 'postgres merge: changed rows stay as they are',
    file: bringBack,
    from: 'of.updated = await change.update(pair);',
    to: 'of.updated = await change.other(pair);',
    killedBy: asItsDryRun('merge'),
  },
  {
    name: 'postgres merge: deleted rows do not come back',
    file: bringBack,
    from: 'of.inserted = await change.insert(pair);',
    to: '',
    killedBy: asItsDryRun('merge'),
  },
  {
    name: 'postgres merge: a dry run changes rows',
    file: merge,
    from: "await connection.run(dryRun ? 'ROLLBACK' : 'COMMIT');",
    to: "await connection.run('COMMIT');",
    killedBy: asItsDryRun('merge'),
  },
  {
    name: 'postgres merge: values that are equal and not the same stay',
    file: compared,
    from: 'pg_catalog.record_image_ne(',
    to: 'pg_catalog.record_ne(',
    killedBy: asItsDryRun('merge'),
  },
  {
    name: "postgres merge: the application's triggers fire",
    file: silenced,
    from: 'for (const [schema, table, name, , kind] of triggers) {',
    to: 'for (const [schema, table, name, , kind] of triggers.slice(triggers.length)) {',
    killedBy: asItsDryRun('merge'),
  },
  {
    name: "postgres merge: the application's triggers stay disabled",
    file: silenced,
    from: "const how = state === 'A' ? 'ENABLE ALWAYS' : 'ENABLE';",
    to: "const how = state === 'A' ? 'ENABLE ALWAYS' : 'DISABLE';",
    killedBy: asItsDryRun('merge'),
  },
  {
    name: 'postgres merge: triggers that fire always fire at the origin only',
    file: silenced,
    from: "const how = state === 'A' ? 'ENABLE ALWAYS' : 'ENABLE';",
    to: "const how = state === '' ? 'ENABLE ALWAYS' : 'ENABLE';",
    killedBy: [merged, 'triggers and rules are in the states that they had'],
  },
  {
    name: 'postgres merge: columns of another type are converted',
    file: fit,
    from: 'return type === column.type ? [] :',
    to: 'return true ? [] :',
    killedBy: [
      merged,
      'rows that the living table does not allow are refused, by the dry run too, and nothing changes',
    ],
  },
  {
    name: 'postgres merge: a table without a key is merged',
    file: fit,
    from: "if (mode === 'merge' && (now.key.length === 0 || then.key.length === 0)) throw withoutKey(name);",
    to: '',
    killedBy: [merged, 'a table without a key is replaced and not merged, columns that joined keep their values'],
  },
  {
    name: 'postgres merge: another key finds the rows',
    file: fit,
    from: 'if (keyNow !== keyThen) differences.push(',
    to: 'if (keyNow === undefined) differences.push(',
    killedBy: [merged, 'a table whose key was changed is neither merged nor replaced'],
  },
  {
    name: 'postgres replace: CASCADE deletes rows of other tables',
    file: bringBack,
    from: "await requireNoCascade(connection, pair, {on: 'delete', condition: isGone(pair), pairs});",
    to: '',
    killedBy: [merged, 'a foreign key with CASCADE does not delete rows of a table that is not named'],
  },
  {
    name: 'postgres merge: CASCADE updates rows of other tables',
    file: bringBack,
    from: "await requireNoCascade(connection, pair, {on: 'update', condition, pairs});",
    to: '',
    killedBy: [referring, acting],
  },
  {
    name: 'postgres merge: rows of children count as rows of the table',
    file: references,
    from: "child: onlyOf(kind === 'p' ? 'partitioned' : 'table') + qualified(schema!, table!),",
    to: 'child: qualified(schema!, table!),',
    killedBy: [referring, acting],
  },
  {
    name: 'postgres merge: keys between the tables do not wait',
    file: bringBack,
    from: 'if (keys.length === 0 || !isAboutKeys(error, pairs)) throw error;',
    to: 'throw error;',
    killedBy: [referring, 'tables that refer to each other come back together'],
  },
  {
    name: 'postgres merge: sequences stay behind the rows',
    file: sequences,
    from: 'if (!isBehind || ',
    to: 'if (isBehind || ',
    killedBy: [referring, setBack],
  },
  {
    name: 'postgres merge: a dry run sets sequences',
    file: sequences,
    from: 'if (dryRun) continue;',
    to: '',
    killedBy: [referring, setBack],
  },
  {
    name: 'postgres merge: a sequence that counts down is set further back',
    file: sequences,
    from: 'increment > 0n ? next(now) < next(was) : next(now) > next(was)',
    to: 'next(now) < next(was)',
    killedBy: [referring, setBack],
  },
  {
    name: 'postgres restore: an index that the rows do not allow is an error',
    file: later,
    from: 'if (isIndex(sql) || isAttachment(sql)',
    to: 'if (isAttachment(sql)',
    killedBy: [left, leftIndexes],
  },
  {
    name: 'postgres restore: an index is left out in silence',
    file: later,
    from: 'missing?.({name: partOf(sql, target), why:',
    to: 'void ({name: partOf(sql, target), why:',
    killedBy: [left, leftIndexes],
  },
  {
    name: 'postgres increments: rows beside those of a key WITHOUT OVERLAPS count as changed',
    file: 'src/sources/postgres/catalog/columns.ts',
    from: "CASE WHEN i.indisexclusion AND k.at = i.indnkeyatts THEN 'OPERATOR(pg_catalog.=)'",
    to: "CASE WHEN false THEN ''",
    killedBy: ['test/servers/postgres/periods.test.ts', 'rows of a key WITHOUT OVERLAPS come back, tracking=triggers'],
  },
  {
    name: 'postgres increments: a log that is published cannot be trimmed',
    file: 'src/sources/postgres/tracking/objects.ts',
    from: 'REPLICA IDENTITY FULL;',
    to: 'REPLICA IDENTITY NOTHING;',
    killedBy: ['test/servers/postgres/standby.test.ts', 'logs are trimmed where a publication is for all tables'],
  },
];
