import {type Meter, startMeter, unlessDamaged, unlessUnreadable, type WorkTools} from '../../backups/index.ts';
import type {SchemaObject, Snapshot, TableName, TableSource} from '../../sources/index.ts';
import type {Recipe, Vault, VaultReader, VaultWriter} from '../../vault/index.ts';
import type {LiveCollection} from '../stored/folder.ts';
import {type Backup, type BackupBody, type Layer, readBackup, type TableBackup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';
import {nameDatabase} from './belongs.ts';
import {requireSameMembers, sinceOf} from './chain.ts';
import {leftBehind, memberTables} from './members.ts';
import {StreamTable} from './stream-table.ts';
import {type LayerSink, readPreviousBase, writeBase, writeDelta} from './write-layers.ts';

/** What one snapshot brought into the vault. */
export type CopiedTables = {
  tables: readonly TableBackup[];
  objects: readonly SchemaObject[];
  streams: readonly Recipe[];
  source: BackupBody['source'];
  takenAt: string;
  mark: string | undefined;
  rows: number;
  deletedRows: number;
  meter: Meter;
};

type BackupLine = {live: LiveCollection; name: BackupName; parent: Backup | undefined};

/** Reads one snapshot into the vault. The snapshot is closed when this returns. */
export async function copyTables(
  tools: WorkTools & {vault: Vault; source: TableSource},
  writer: VaultWriter,
  {live, name, parent}: BackupLine,
): Promise<CopiedTables> {
  const {vault, source, signal} = tools;
  const {definition} = live;
  const members = await memberTables(definition, source);
  const {tables, whole} = members;
  for (const sentence of await leftBehind(definition, source)) tools.notice(sentence);
  for (const notice of wholeNotices(whole)) tools.notice(notice);
  if (parent !== undefined) requireSameMembers(parent, members);
  const earlier = parent ?? (await readEarlier(vault, live));
  const snapshot = await source.snapshot({
    tables,
    objects: definition.members.kind === 'database',
    omitIndexes: definition.settings.omitIndexes,
    ...(definition.settings.incremental ? {track: {owner: definition.id}, whole: [...whole.keys()]} : {}),
    since: parent && sinceOf(parent, definition.id),
    signal,
    notice: tools.notice,
  });
  try {
    const takenAt = new Date(tools.nowMicros() / 1000).toISOString();
    const meter = startMeter(tools, {
      bytesTotal: parent === undefined ? await estimatedBytes(snapshot, tables) : undefined,
      itemsTotal: tables.length,
    });
    const streams = new StreamTable();
    const sink: LayerSink = {writer, streams, backup: name, observe: meter.bytes};
    const copied: TableBackup[] = [];
    for (const schema of snapshot.schemas) {
      signal.throwIfAborted();
      const layers =
        parent === undefined || whole.has(schema.name)
          ? [await baseLayer(vault, sink, snapshot, schema.name, earlier)]
          : await deltaLayers(vault, sink, snapshot, schema.name, parent);
      copied.push(whole.has(schema.name) ? {schema, layers, whole: true} : {schema, layers});
      meter.item();
    }
    const own = copied.flatMap((table) => table.layers).filter((layer) => layer.backup === name);
    return {
      tables: copied,
      objects: snapshot.objects,
      streams: streams.streams,
      takenAt,
      source: {...(await nameDatabase(source)), database: snapshot.database},
      mark: snapshot.mark,
      rows: own.reduce((sum, layer) => sum + layer.rows, 0),
      deletedRows: own.reduce((sum, layer) => sum + deletedRowsOf(layer), 0),
      meter,
    };
  } finally {
    await snapshot.close();
  }
}

/** A key that contains NULL can have several rows, so a delta can have more rows than keys. */
const deletedRowsOf = (layer: Layer) => (layer.kind === 'delta' ? Math.max(0, layer.keys - layer.rows) : 0);

/** One notice for each reason: in a database with virtual tables, many tables have the same one. */
function wholeNotices(whole: ReadonlyMap<TableName, string>): string[] {
  const tablesOf = new Map<string, TableName[]>();
  for (const [table, reason] of whole) tablesOf.set(reason, [...(tablesOf.get(reason) ?? []), table]);
  return [...tablesOf].map(([reason, tables]) => `each increment takes all rows of ${tables.join(', ')}: ${reason}`);
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

async function baseLayer(
  vault: VaultReader,
  sink: LayerSink,
  snapshot: Snapshot,
  table: TableName,
  earlier: Backup | undefined,
) {
  const previous = earlier === undefined ? undefined : await unlessDamaged(readPreviousBase(vault, earlier, table));
  return writeBase(sink, snapshot, table, previous);
}

async function deltaLayers(
  vault: VaultReader,
  sink: LayerSink,
  snapshot: Snapshot,
  table: TableName,
  parent: Backup,
): Promise<readonly Layer[]> {
  const changes = await snapshot.changes(table, parent.body.mark!);
  if (changes === 'rebase') return [await baseLayer(vault, sink, snapshot, table, parent)];
  const before = parent.body.tables.find((entry) => entry.schema.name === table)!;
  const adopted = before.layers.map((layer) => sink.streams.adopt(layer, parent.streams));
  const delta = await writeDelta(sink, changes);
  return delta === undefined ? adopted : [...adopted, delta];
}
