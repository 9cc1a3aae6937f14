import {type Meter, startMeter, unlessUnreadable, type WorkTools} from '../../backups/index.ts';
import type {SchemaObject, Snapshot, TableName, TableSchema, TableSource} from '../../sources/index.ts';
import type {Recipe, Vault, VaultReader, VaultWriter} from '../../vault/index.ts';
import type {Definition} from '../stored/definition.ts';
import type {LiveCollection} from '../stored/folder.ts';
import {streamsOf} from '../stored/layers.ts';
import {type Backup, type BackupBody, readBackup, type TableBackup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';
import {nameDatabase} from './belongs.ts';
import {memberChanges, partsOf, sinceOf} from './chain.ts';
import {withContents} from './contents.ts';
import {type FoldLimits, foldLimits} from './fold.ts';
import {leftBehind, type MemberTables, memberTables, openListed, preflight} from './members.ts';
import {StreamTable} from './stream-table.ts';
import {baseLayers, beginLayers, type Reading, type WriteLayers} from './table-layers.ts';
import type {LayerSink} from './write-segments.ts';

/** What one snapshot brought into the vault. */
export type CopiedTables = {
  tables: readonly TableBackup[];
  objects: readonly SchemaObject[];
  /** What EXCEPT left out. */
  excepted: readonly string[];
  streams: readonly Recipe[];
  source: BackupBody['source'];
  takenAt: string;
  mark: string | undefined;
  rows: number;
  deletedRows: number;
  /** Plain bytes of the layers that this backup adds. */
  logicalBytes: number;
  meter: Meter;
};

type BackupLine = {
  live: LiveCollection;
  name: BackupName;
  parent: Backup | undefined;
  fold: FoldLimits | undefined;
};

/** Reads one snapshot into the vault. The snapshot is closed when this returns. */
export async function copyTables(
  tools: WorkTools & {vault: Vault; source: TableSource},
  writer: VaultWriter,
  {live, name, parent, fold = foldLimits}: BackupLine,
): Promise<CopiedTables> {
  const {vault, source, signal} = tools;
  const {definition} = live;
  for (const sentence of await leftBehind(definition, source)) tools.notice(sentence);
  const earlier = parent ?? (await readEarlier(vault, live));
  const {members, snapshot} = await openSnapshot(tools, {definition, parent});
  const {tables, whole, excepted} = members;
  try {
    const guide = `docs/${source.abilities.title.toLowerCase()}.md`;
    if (whole.size > 0) tools.notice(`each increment takes all rows of ${some([...whole.keys()])}, see ${guide}`);
    if (parent !== undefined) for (const sentence of memberChanges(parent, members)) tools.notice(sentence);
    const takenAt = new Date(tools.nowMicros() / 1000).toISOString();
    const meter = startMeter(tools, {
      bytesTotal: parent === undefined ? await estimatedBytes(snapshot, tables) : undefined,
      itemsTotal: tables.length,
    });
    const streams = new StreamTable();
    const sink: LayerSink = {writer, streams, backup: name, observe: meter.bytes};
    const {notice} = tools;
    const reading: Reading = {vault, sink, snapshot, fold, signal, notice, asRows: new Map(), compared: new Set()};
    const copied: TableBackup[] = [];
    const added = {rows: 0, deletedRows: 0};
    const begin = async ({name: table}: TableSchema): Promise<WriteLayers> =>
      parent === undefined || whole.has(table)
        ? () => baseLayers(reading, table, earlier)
        : beginLayers(reading, table, parent);
    for await (const {schema, write} of begunAhead(snapshot, begin)) {
      signal.throwIfAborted();
      const {layers, changed} = await write();
      added.rows += changed.rows;
      // A key that contains NULL can have several rows, so a delta can have more rows than keys.
      added.deletedRows += Math.max(0, changed.keys - changed.rows);
      copied.push(whole.has(schema.name) ? {schema, layers, whole: true} : {schema, layers});
      meter.item();
    }
    const tablesNow = await withContents(
      {snapshot, collection: definition.name, name, parent, signal, notice: tools.notice, compared: reading.compared},
      copied,
    );
    await snapshot.confirm();
    for (const [reason, names] of byReason(reading.asRows)) {
      tools.notice(`${names.join(', ')}: backed up row by row, which is slower: ${reason}`);
    }
    const own = copied.flatMap((table) => table.layers).filter((layer) => layer.backup === name);
    return {
      tables: tablesNow,
      objects: snapshot.objects,
      excepted,
      streams: streams.streams,
      takenAt,
      source: {...(await nameDatabase(source)), database: snapshot.database},
      mark: snapshot.mark,
      ...added,
      logicalBytes: own.flatMap(streamsOf).reduce((sum, stream) => sum + streams.streams[stream]!.sizeBytes, 0),
      meter,
    };
  } finally {
    await snapshot.close();
  }
}

/** Each table when its turn has come, with what was begun for it: for some tables, while others were written. */
async function* begunAhead(
  {schemas, tablesAtOnce = 1}: Snapshot,
  begin: (schema: TableSchema) => Promise<WriteLayers>,
): AsyncGenerator<{schema: TableSchema; write: WriteLayers}> {
  const begun: Promise<WriteLayers>[] = [];
  for (const [at, schema] of schemas.entries()) {
    for (const next of schemas.slice(begun.length, at + tablesAtOnce)) {
      const write = begin(next);
      // It is thrown when the turn of the table has come.
      write.catch(() => {});
      begun.push(write);
    }
    yield {schema, write: await begun[at]!};
  }
}

function openSnapshot(
  {source, signal, notice, progress, blocks}: WorkTools & {source: TableSource},
  {definition, parent}: {definition: Definition; parent: Backup | undefined},
): Promise<{members: MemberTables; snapshot: Snapshot}> {
  const list = async () => {
    const members = await memberTables(definition, source);
    const {tables} = members;
    // How many tables there are shows how long the next call may take.
    progress({phase: 'Preparing', bytesDone: 0, itemsDone: 0, itemsTotal: tables.length});
    await preflight(definition, source, tables);
    return members;
  };
  return openListed('BUSY', list, async (members) => {
    const {tables, whole, excepted, known} = members;
    const snapshot = await source.snapshot({
      tables,
      known,
      objects: definition.members.kind === 'database',
      exceptObjects: excepted,
      omitIndexes: definition.settings.omitIndexes,
      ...(definition.settings.incremental ? {track: {owner: definition.id}, whole: [...whole.keys()]} : {}),
      since: parent && sinceOf(parent, definition.id),
      before: parent && partsOf(parent),
      signal,
      notice,
      allRows: (table, why) => notice(`all rows of ${table} are taken: ${why}`),
      blocks,
    });
    return {members, snapshot};
  });
}

/** CREATE has named all of them, with the reason. */
const mostNamed = 5;

function some(names: readonly TableName[]): string {
  const more = names.length - mostNamed;
  if (more <= 0) return names.join(', ');
  return `${names.slice(0, mostNamed).join(', ')} and ${more} more ${more === 1 ? 'table' : 'tables'}`;
}

/** Tables by their reason: in a database with virtual tables, many tables have the same one. */
function byReason(reasons: ReadonlyMap<TableName, string>): ReadonlyMap<string, readonly TableName[]> {
  const tablesOf = new Map<string, TableName[]>();
  for (const [table, reason] of reasons) tablesOf.set(reason, [...(tablesOf.get(reason) ?? []), table]);
  return tablesOf;
}

async function estimatedBytes(snapshot: Snapshot, tables: readonly TableName[]): Promise<number> {
  let sum = 0;
  for (const table of tables) sum += await snapshot.estimatedBytes(table);
  return sum;
}

/** The backup that a full backup may share chunks with. If it is damaged, the full backup is taken without it. */
async function readEarlier(vault: VaultReader, {definition, backups}: LiveCollection): Promise<Backup | undefined> {
  const newest = backups.at(-1);
  return newest === undefined ? undefined : unlessUnreadable(readBackup(vault, definition.name, newest));
}
