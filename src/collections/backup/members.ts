import {BkpError, type ErrorCode} from '../../errors/index.ts';
import type {TableFacts, TableName, TableSource} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {Definition} from '../stored/definition.ts';

export type MemberTables = {
  tables: readonly TableName[];
  /** Tables whose changes cannot be tracked, with the reason: each increment copies all of their rows. */
  whole: ReadonlyMap<TableName, string>;
  /** Tables and other objects of the database that EXCEPT leaves out, with the tables behind them. */
  excepted: readonly string[];
  /** Every table of the database, for a collection of all of it. */
  known: readonly TableName[] | undefined;
};

/** How often tables are listed if some are created or dropped between their listing and the snapshot. */
const tries = 5;

/**
 * Lists tables and opens a snapshot of them.
 * @param changed the code of the error by which `open` says that there are others by now: then both are called again
 */
export async function openListed<Listed, Opened>(
  changed: ErrorCode,
  list: () => Promise<Listed>,
  open: (listed: Listed) => Promise<Opened>,
): Promise<Opened> {
  for (let left = tries; ; left--) {
    const listed = await list();
    try {
      return await open(listed);
    } catch (error) {
      if (left === 1 || !(error instanceof BkpError && error.code === changed)) throw error;
    }
  }
}

/**
 * The tables that a backup of the collection holds, as the source spells them.
 * @throws BkpError `BAD_REQUEST` | `TABLE_NOT_FOUND` | `UNSUPPORTED` | `SOURCE_UNAVAILABLE`
 */
export async function memberTables(definition: Definition, source: TableSource): Promise<MemberTables> {
  const {members, settings} = definition;
  const facts = await source.describe(members.kind === 'database' ? 'all' : members.tables);
  const excepted = await exceptedOf(definition, source, facts);
  const usable =
    members.kind === 'database'
      ? facts.filter((table) => table.state === 'present' && !excepted.includes(table.name))
      : facts;
  if (usable.length === 0) {
    throw new BkpError('BAD_REQUEST', `collection ${definition.name} has no tables to back up`, {
      next: `ALTER BACKUP COLLECTION ${quoteName(definition.name)} ADD TABLE …`,
    });
  }
  const absent = usable.filter((table) => table.state === 'absent');
  if (absent.length > 0) {
    const [{reason}] = absent as [TableFacts & {state: 'absent'}];
    if (reason !== undefined) {
      throw new BkpError('SOURCE_UNAVAILABLE', reason, {next: 'check the path of the source: bkp config get source'});
    }
    const verb = absent.length === 1 ? 'does' : 'do';
    throw new BkpError('TABLE_NOT_FOUND', `${list(absent)} ${verb} not exist in ${source.description}`, {
      next:
        `create it, or ALTER BACKUP COLLECTION ${quoteName(definition.name)} DROP TABLE ` +
        `${quoteName(absent[0]!.name)}`,
    });
  }
  for (const table of usable) {
    if (table.state === 'unsupported')
      throw new BkpError('UNSUPPORTED', `${table.name} cannot be in a collection`, {cause: table.reason});
    // In a collection of the whole database, such tables are copied completely instead.
    const chosen = members.kind === 'tables';
    if (chosen && settings.incremental && table.state === 'present' && table.fullOnly !== undefined) {
      throw new BkpError('UNSUPPORTED', `table ${table.name} cannot have incremental backups`, {
        cause: table.fullOnly,
        next: `give it a primary key, or put it into a collection without INCREMENTAL_BACKUP_ENABLED`,
      });
    }
  }
  requireOneSpelling(definition.name, usable);
  const tables = usable.map((table) => table.name);
  const known = members.kind === 'database' ? facts.map(({name}) => name) : undefined;
  return {tables, whole: settings.incremental ? wholeOf(usable) : new Map(), excepted, known};
}

/**
 * Refuses what the source cannot give.
 * @throws BkpError `PRECONDITION` | `SOURCE_UNAVAILABLE`
 */
export async function preflight(
  {settings}: Pick<Definition, 'settings'>,
  source: TableSource,
  tables: readonly TableName[],
): Promise<void> {
  await source.preflight?.({tables, track: settings.incremental});
}

/**
 * What EXCEPT leaves out of these tables, as the source spells it.
 * @param facts of all tables of the database
 * @throws BkpError `BAD_REQUEST` for a table that another object needs
 */
async function exceptedOf(
  {members}: Pick<Definition, 'members'>,
  source: TableSource,
  facts: readonly TableFacts[],
): Promise<readonly string[]> {
  if (members.kind !== 'database' || members.except === undefined) return [];
  const named = (await source.describe(members.except)).filter(({state}) => state !== 'absent').map(({name}) => name);
  const behind: string[] = [];
  for (const table of facts) {
    if (table.state !== 'present' || table.partOf === undefined) continue;
    const {name, partOf} = table;
    if (named.includes(partOf)) behind.push(name);
    else if (named.includes(name)) {
      throw new BkpError('BAD_REQUEST', `${name} cannot be left out alone: it holds the rows of ${partOf}`, {
        next: `EXCEPT (TABLE ${quoteName(partOf)}) leaves out both`,
      });
    }
  }
  return [...new Set([...named, ...behind])];
}

/** Only the source knows that two spellings are one table. */
function requireOneSpelling(collection: string, tables: readonly TableFacts[]): void {
  const names = tables.map((table) => table.name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice === undefined) return;
  throw new BkpError('BAD_REQUEST', `table ${twice} is in collection ${collection} twice, in two spellings`, {
    next:
      `leave one of them out; in an existing collection, ALTER BACKUP COLLECTION ${quoteName(collection)} DROP ` +
      'TABLE … takes one out',
  });
}

function wholeOf(tables: readonly TableFacts[]): ReadonlyMap<TableName, string> {
  return new Map(
    tables.flatMap((table) =>
      table.state === 'present' && table.fullOnly !== undefined ? [[table.name, table.fullOnly]] : [],
    ),
  );
}

/**
 * What increments cannot follow, a sentence for each reason: of a collection of the whole database, they take all rows
 * of such a table; one of single tables is refused.
 */
export async function wholeTables(
  definition: Pick<Definition, 'members'>,
  source: TableSource,
): Promise<readonly string[]> {
  const {members} = definition;
  const facts = await source.describe(members.kind === 'database' ? 'all' : members.tables);
  const excepted = await exceptedOf(definition, source, facts);
  const tablesOf = new Map<string, TableName[]>();
  for (const [table, reason] of wholeOf(facts.filter(({name}) => !excepted.includes(name))))
    tablesOf.set(reason, [...(tablesOf.get(reason) ?? []), table]);
  const what = members.kind === 'database' ? 'each increment takes all rows of' : 'BACKUP will be refused because of';
  return [...tablesOf].map(([reason, names]) => `${what} ${names.join(', ')}: ${reason}`);
}

/**
 * Which of the named tables a backup would not find now, as a sentence: a table may be created after its collection,
 * and a misspelled name looks the same until then.
 */
export async function missingTables(tables: readonly TableName[], source: TableSource): Promise<readonly string[]> {
  const facts = tables.length === 0 ? [] : await source.describe(tables);
  const absent = facts.flatMap((table) => (table.state === 'absent' ? [table] : []));
  if (absent.length === 0) return [];
  const reason = absent[0]!.reason ?? `there is no table ${absent.map(({name}) => name).join(', ')}`;
  return [`${reason} yet: BACKUP is refused until there is`];
}

/**
 * What a backup of the collection does not contain and a restore may miss, a sentence each.
 * @throws BkpError `BAD_REQUEST` for one table in two spellings
 */
export async function leftBehind(
  {members, name}: Pick<Definition, 'members' | 'name'>,
  source: TableSource,
): Promise<readonly string[]> {
  if (members.kind === 'tables') {
    const found = (await source.describe(members.tables)).filter(({state}) => state !== 'absent');
    requireOneSpelling(name, found);
  }
  if (members.kind === 'tables') return source.leftBehind(members.tables);
  if (members.except === undefined) return source.leftBehind('all');
  const excepted = await exceptedOf({members}, source, await source.describe('all'));
  return [...exceptions(members.except, excepted), ...(await source.leftBehind('all', excepted))];
}

function exceptions(except: readonly string[], excepted: readonly string[]): readonly string[] {
  if (excepted.length > 0) return [`left out by EXCEPT: ${excepted.join(', ')}`];
  return [`EXCEPT leaves out nothing now: the database has no ${except.join(', ')}`];
}

function list(tables: readonly TableFacts[]): string {
  return tables.map((table) => `table /Root/${table.name}`).join(', ');
}
