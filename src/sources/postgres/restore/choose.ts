import {BkpError, didYouMean} from '../../../errors/index.ts';
import type {BackupParts, Choice, ChosenTable, WantedTable} from '../../source.ts';
import {unquoted} from '../connection/quote.ts';
import {renamed} from './renamed.ts';
import {isView, partsOfView, type StoredTable, storedTables} from './stored.ts';

/** Longer lists belong into a program. */
const mostNamed = 5;

/**
 * See `TableSource.choose`. A name without a schema means the table of that name, if there is only one. Functions,
 * types and all else that is no table and no view have only the name of the backup: `TYPE public.state`.
 * @param schema gets all tables; absent: each one's own
 */
export function chooseTables(
  {schemas, objects: all}: BackupParts,
  wanted: readonly WantedTable[],
  schema: string | undefined,
): Choice {
  const names = [...schemas, ...all.filter(isView)].map(({name}) => name);
  const isObject = new Set(all.map(({name}) => name));
  const chosen = wanted.map(({name, as}) => ({name: isObject.has(name) ? name : found(names, name), as}));
  const twice = chosen.find(({name}, at) => chosen.findIndex((other) => other.name === name) !== at);
  if (twice !== undefined) {
    throw new BkpError('BAD_REQUEST', `table ${twice.name} is named twice`, {next: 'name it once'});
  }
  const newNames = new Map(chosen.map(({name, as}) => [name, as]));
  const objects = all.filter(({name}) => newNames.has(name));
  const keeps = objects.find(({name}) => newNames.get(name) !== undefined);
  if (keeps !== undefined) {
    throw new BkpError('UNSUPPORTED', `${keeps.name} is ${isView(keeps) ? 'a view' : 'no table'}, and keeps its name`, {
      next: 'leave out AS; a restore into another database has it under its name',
    });
  }
  const taken = new Set<string>();
  const tables: ChosenTable[] = [];
  const notices: string[] = [];
  for (const {name, as} of chosen) {
    const stored = schemas.find((one) => one.name === name);
    if (stored === undefined) continue;
    const [table] = storedTables([stored]) as [StoredTable];
    const target = as === undefined ? {schema: schema ?? table.schema, table: table.table} : named(as, table, schema);
    if (target.schema === table.schema && target.table === table.table) {
      tables.push({name});
      continue;
    }
    const moved = renamed(stored, table, target, taken);
    tables.push({name, as: moved.schema});
    notices.push(...moved.notices);
  }
  requireDistinct(tables);
  if (schema === undefined) return {tables, objects: partsOf(all, objects), notices};
  return {tables, objects: [], notices: [...notices, ...notMoved(objects)]};
}

/** Names of objects and of what belongs to them, each once. */
function partsOf(all: BackupParts['objects'], objects: BackupParts['objects']): readonly string[] {
  return [...new Set(objects.flatMap(({name}) => partsOfView(all, name)))];
}

/** Only tables come into another schema. What belongs to an object is not named beside it. */
function notMoved(objects: BackupParts['objects']): readonly string[] {
  const views = objects.filter(isView).map(({name}) => `the view ${name} is not restored into another schema`);
  const others = objects.filter(
    (object) => !isView(object) && object.definition.of === undefined && !/^(?:COMMENT|ACL) /u.test(object.name),
  );
  if (others.length === 0) return views;
  const named = [...new Set(others.map(({name}) => name.replace(/^DEFAULT ACL /u, '')))];
  const more = named.length > mostNamed ? ` and ${named.length - mostNamed} more` : '';
  const list = named.slice(0, mostNamed).join(', ');
  return [...views, `what no table needs is not restored into another schema: ${list}${more}`];
}

/** `orders_before`, in the schema of the table; or with a schema in front. */
function named(as: string, table: StoredTable, into: string | undefined): {schema: string; table: string} {
  const parts = as.match(/^(?:("(?:[^"]|"")+"|[^".]+)\.)?("(?:[^"]|"")+"|[^".]+)$/u);
  if (parts === null) {
    throw new BkpError('BAD_NAME', `${as} is not the name of a table`, {
      next: 'write a name, or a schema and a name: archive.orders',
    });
  }
  const [, schema, name] = parts;
  const found = {schema: schema === undefined ? (into ?? table.schema) : unquoted(schema), table: unquoted(name!)};
  // https://www.postgresql.org/docs/18/limits.html
  const long = [found.schema, found.table].find((part) => Buffer.byteLength(part) > 63);
  if (long === undefined) return found;
  throw new BkpError('BAD_NAME', `${long} is too long: names of PostgreSQL have at most 63 bytes`, {
    next: 'choose a shorter name',
  });
}

function requireDistinct(tables: readonly ChosenTable[]): void {
  const names = tables.map(({name, as}) => as?.name ?? name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice === undefined) return;
  throw new BkpError('BAD_REQUEST', `two restored tables would have the name ${twice}`, {
    next: 'choose another name for one of them after AS',
  });
}

function found(names: readonly string[], wanted: string): string {
  const plain = (name: string) => name.replaceAll('"', '');
  const exact = names.find((name) => name === wanted) ?? names.find((name) => plain(name) === plain(wanted));
  if (exact !== undefined) return exact;
  const unqualified = names.filter((name) => plain(name).endsWith(`.${plain(wanted)}`));
  if (unqualified.length === 1) return unqualified[0]!;
  if (unqualified.length > 1) {
    throw new BkpError('BAD_REQUEST', `the backup has ${unqualified.join(' and ')}`, {
      next: `write the schema too: TABLE \`${unqualified[0]}\``,
    });
  }
  const near = didYouMean(wanted, names);
  throw new BkpError('TABLE_NOT_FOUND', `the backup has no table ${wanted}`, {
    next: near === undefined ? `it has ${names.join(', ')}` : `did you mean ${near}?`,
    context: {table: wanted},
  });
}
