import type {Mutant} from './mutant.ts';

const apart = 'src/query/apart.ts';
const collect = 'src/query/collect.ts';
const looking = 'src/app/looking/export.ts';
const textRows = 'src/app/looking/text-rows.ts';
const selects = 'test/query/select.test.ts';
const exported = 'test/long/export.test.ts';

/** Looking into backups: the limits of SELECT, and exports. A mutant is not seen by the process of a SELECT itself. */
export const lookingMutants: readonly Mutant[] = [
  {
    name: 'select: a result may have any number of rows',
    file: collect,
    from: "if (rows.length === limits.rows) return {exceeded: 'rows'};",
    to: '',
    killedBy: [selects, 'more rows than the limit, instead of truncating: SELECT number FROM numbers()'],
  },
  {
    name: 'select: a result is truncated at the limit',
    file: collect,
    from: "if (rows.length === limits.rows) return {exceeded: 'rows'};",
    to: 'if (rows.length === limits.rows) break;',
    killedBy: [selects, 'more rows than the limit, instead of truncating: SELECT number FROM numbers()'],
  },
  {
    name: 'select: a result may have any length',
    file: collect,
    from: "if (bytes > limits.mebibytes * 2 ** 20) return {exceeded: 'mebibytes'};",
    to: '',
    killedBy: [selects, 'a quick statement whose result is too large'],
  },
  {
    name: 'select: a statement may run for any time',
    file: apart,
    from: '}, limits.seconds * 1000);',
    to: '}, 2 ** 31 - 1);',
    killedBy: [
      selects,
      'a statement that takes too long: SELECT count(*) FROM numbers() a, numbers() b, numbers() c, numbers() d',
    ],
  },
  {
    name: 'select: a join runs in the process of the command',
    file: 'src/query/quick.ts',
    from: 'found.tables <= 1',
    to: 'found.tables <= 9',
    killedBy: ['test/query/quick.test.ts', 'a statement that may take long: SELECT 1 FROM a(), a() b'],
  },
  {
    name: 'select: tables of backups may need any space',
    file: 'src/app/looking/backup-tables.ts',
    from: 'if (bytes <= limitBytes) return;',
    to: 'if (bytes !== limitBytes) return;',
    killedBy: [exported, 'a SELECT on a backup is refused when its tables need more of the disk than is allowed'],
  },
  {
    name: 'export: an empty text is NULL',
    file: textRows,
    from: "return text === '' || ",
    to: 'return ',
    killedBy: [exported, 'CSV tells NULL from an empty text, and quotes what would divide a field'],
  },
  {
    name: 'export: a quote ends its field',
    file: textRows,
    from: `text.replaceAll('"', '""')`,
    to: 'text',
    killedBy: [exported, 'CSV tells NULL from an empty text, and quotes what would divide a field'],
  },
  {
    name: 'export: a line feed ends a row',
    file: textRows,
    from: '[",\\r\\n]',
    to: '[",]',
    killedBy: [exported, 'CSV tells NULL from an empty text, and quotes what would divide a field'],
  },
  {
    name: 'export: JSON has the nearest double of an integer',
    file: textRows,
    from: 'exactJson(values[at] ?? null)',
    to: "exactJson(typeof values[at] === 'bigint' ? Number(values[at]) : (values[at] ?? null))",
    killedBy: [exported, 'JSON lines keep the digits of every number, and all bytes'],
  },
  {
    name: 'export: the named tables are not chosen',
    file: looking,
    from: 'undefined : tables.map((table) => ({name: plainTable(table)}));',
    to: 'undefined : (void plainTable, undefined);',
    killedBy: [exported, 'a database has the named tables with their indexes, and no others'],
  },
  {
    name: 'export: a file that appeared meanwhile is replaced',
    file: 'src/lib/new-file.ts',
    from: "if (systemCode(error) === 'EEXIST') throw error;",
    to: "if (systemCode(error) === 'EEXIST') return renameSync(from, to);",
    killedBy: [
      exported,
      'a file that appears while the rows are written stays as it is, and nothing is left beside it',
    ],
  },
  {
    name: 'export: what was begun stays',
    file: looking,
    from: 'place.discard();',
    to: '',
    killedBy: [exported, 'an export of what a damaged backup has lost leaves no file'],
  },
];
