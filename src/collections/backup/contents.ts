import {BkpError} from '../../errors/index.ts';
import type {Snapshot, TableContent, TableName} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {Backup, TableBackup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';

/**
 * An increment reads this much of the source to know what its tables contain, smaller tables first: a tenth of a
 * second. The cost of an increment must not grow with the tables.
 */
const mostBytesOfIncrement = 64 * 1024 * 1024;

export type ContentTools = {
  snapshot: Snapshot;
  collection: string;
  /** The backup that is being taken. */
  name: BackupName;
  parent: Backup | undefined;
  /** Tables whose rows were compared with the parent's: what they contain is known. */
  compared: ReadonlySet<TableName>;
  signal: AbortSignal;
  notice: (text: string) => void;
};

/**
 * Adds to the tables what they contain in the source. A new base was read anyway. Of the others, those with changes
 * are read first, as far as the limit allows; then those without, which must contain what they did before: this finds
 * changes that were not logged. A table that is not read has the content of the parent if nothing changed, else none.
 * @throws BkpError `CHAIN_BROKEN` when a table contains what its log does not explain
 */
export async function withContents(tools: ContentTools, tables: readonly TableBackup[]): Promise<TableBackup[]> {
  const {snapshot, signal} = tools;
  const contents = new Map<TableBackup, TableContent>();
  let left = mostBytesOfIncrement;
  const read = async (table: TableBackup, mostBytes: number) => {
    signal.throwIfAborted();
    const found = await snapshot.content(table.schema.name, {mostBytes});
    if (found !== undefined) contents.set(table, found.content);
    return found?.readBytes ?? 0;
  };
  const standing = new Map(tables.map((table) => [table, standingOf(table, tools)]));
  const those = (wanted: Standing) => tables.filter((table) => standing.get(table) === wanted);
  for (const table of those('new')) await read(table, Number.POSITIVE_INFINITY);
  for (const table of [...those('changed'), ...those('unchanged')]) {
    left -= await read(table, left).catch((error) => noteDamage(tools, table, error));
    requireExplained(tools, table, contents.get(table));
  }
  return tables.map((table) => {
    const before = standing.get(table) === 'unchanged' ? contentBefore(tools, table) : undefined;
    const content = contents.get(table) ?? before;
    return content === undefined ? table : {...table, content};
  });
}

/** Damage elsewhere in the database must not keep the changes of an increment from being backed up. */
function noteDamage({notice}: ContentTools, {schema}: TableBackup, error: unknown): number {
  if (!(error instanceof BkpError) || error.code !== 'SOURCE_DAMAGED') throw error;
  notice(`what ${schema.name} contains was not recorded, because the table cannot be read: ${error.message}`);
  return 0;
}

type Standing = 'new' | 'changed' | 'unchanged';

function standingOf({schema, layers}: TableBackup, {name, compared}: ContentTools): Standing {
  if (compared.has(schema.name)) return 'new';
  const newest = layers.at(-1)!;
  if (newest.backup !== name) return 'unchanged';
  return newest.kind === 'base' ? 'new' : 'changed';
}

const contentBefore = ({parent}: ContentTools, {schema}: TableBackup) =>
  parent?.body.tables.find((table) => table.schema.name === schema.name)?.content;

function requireExplained(tools: ContentTools, table: TableBackup, now: TableContent | undefined): void {
  const before = contentBefore(tools, table);
  if (before === undefined || now === undefined) return;
  const newest = table.layers.at(-1)!;
  const isChanged = standingOf(table, tools) === 'changed';
  // Each new row is one that the log names.
  const isExplained = isChanged
    ? now.rows <= before.rows + newest.rows && now.rows >= newest.rows
    : now.rows === before.rows && now.hash === before.hash;
  if (isExplained) return;
  const {name} = table.schema;
  throw new BkpError('CHAIN_BROKEN', `table ${name} contains changes that its change log does not have`, {
    cause: `something wrote to ${name} without firing its triggers since ${tools.parent!.body.backup}`,
    next: `BACKUP ${quoteName(tools.collection)} takes a new full backup`,
    context: {table: name},
  });
}
