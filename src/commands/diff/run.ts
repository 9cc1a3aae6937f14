import {once} from 'node:events';
import {diff} from '../../app/looking/diff.ts';
import type {TableDifference} from '../../collections/index.ts';
import {exactJsonObject} from '../../lib/exact-json.ts';
import {printable} from '../../lib/text.ts';
import type {RowChange} from '../../sources/index.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {printedTable} from '../tables.ts';

export type DiffOptions = {
  collection: string;
  from?: string | undefined;
  to?: string | undefined;
  table: readonly string[];
  rows: boolean;
  format: RowFormat;
};

/** The word for the database as it is. */
const nowWord = 'now';

export async function runDiff(deps: CommandDeps, options: DiffOptions): Promise<void> {
  const {collection, table: tables, rows, format} = options;
  const {from, to = nowWord} = sides(options);
  const {stdout} = deps;
  const found: TableDifference[] = [];
  const request = {before: {collection, point: from}, after: to === nowWord ? undefined : to, tables};
  await diff(deps, request, {
    table: (difference) => {
      found.push(difference);
      if (format === 'json' && !rows) stdout.write(`${JSON.stringify(difference)}\n`);
    },
    ...(rows
      ? {
          rows: async (table, change) => {
            if (!stdout.write(`${rowLine(table, change)}\n`)) await once(stdout, 'drain');
          },
        }
      : {}),
  });
  const other = found.filter(differs);
  if (!rows && format === 'pretty') {
    if (other.length > 0) stdout.write(countTable(other));
    for (const {table, schema} of other)
      for (const phrase of schema) stdout.write(`${printable(`${table}: ${phrase}`)}\n`);
  }
  if (rows)
    for (const {table, schema} of other) for (const phrase of schema) deps.warn(printable(`${table}: ${phrase}`));
  if (format === 'pretty') deps.stderr.write(`${summary(found.length, other.length)}\n`);
}

/** `shop now` and `shop/20261121120000Z now` leave out what the other words say. */
function sides({collection, from, to}: DiffOptions): Pick<DiffOptions, 'from' | 'to'> {
  const isNamed = from === nowWord || collection.includes('/');
  return isNamed && to === undefined ? {to: from} : {from, to};
}

const differs = ({state, added, changed, deleted, schema}: TableDifference) =>
  state !== 'kept' || added + changed + deleted + schema.length > 0;

/** The state is printed only if a table is on one side alone. */
function countTable(differences: readonly TableDifference[]): string {
  const withState = differences.some(({state}) => state !== 'kept');
  const names = ['table', 'added', 'changed', 'deleted', ...(withState ? ['state'] : [])];
  const rows = differences.map(({table, added, changed, deleted, state}) => [
    ...[table, added, changed, deleted],
    ...(withState ? [state] : []),
  ]);
  return printedTable({columns: names.map((name) => ({name})), rows}, 'pretty');
}

/** `{"table": …, "change": …, "row": {…}, "before": {…}}` */
function rowLine(table: string, change: RowChange): string {
  const before = change.kind === 'changed' ? `,"before":${exactJsonObject(change.before)}` : '';
  const head = `"table":${JSON.stringify(table)},"change":"${change.kind}"`;
  return `{${head},"row":${exactJsonObject(change.row)}${before}}`;
}

function summary(compared: number, differing: number): string {
  const tables = compared === 1 ? '1 table compared' : `${compared} tables compared`;
  if (differing === 0) return `${tables}: no difference`;
  return `${tables}: ${differing === 1 ? '1 differs' : `${differing} differ`}`;
}
