import {
  type DraftReport,
  isoText,
  type KeptReport,
  keepReport,
  type ReportAuthor,
  type ReportedTable,
  startMeter,
  type WorkTools,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {formatCount} from '../../lib/figures.ts';
import type {PublishedTable, Snapshot, TableName, TableSource} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {Vault, VaultReader} from '../../vault/index.ts';
import {sinceOf} from '../backup/chain.ts';
import {openListed} from '../backup/members.ts';
import {bytesToLoad, loadLayer, loadTrees} from '../restore/load-layer.ts';
import {requireReadable} from '../stored/folder.ts';
import {basesOf} from '../stored/layers.ts';
import {type Backup, readBackup, type TableBackup, takenAtText} from '../stored/manifest.ts';
import {type BackupName, manifestKey} from '../stored/names.ts';
import {describeDifferences} from './differences.ts';
import {planDrill} from './drill.ts';

export type CompareRequest = {collection: string; backup: BackupName};

export type CompareTools = WorkTools & {
  vault: Vault;
  source: TableSource;
  /** An empty place, which the caller removes. */
  scratch: TableSource;
  author: ReportAuthor;
  /** 8 random hex digits. */
  random: string;
};

export type CompareReport = KeptReport & {rows: number; logicalBytes: number};

/**
 * @returns the newest backup, the only one whose changes the log has
 * @throws BkpError `BAD_REQUEST` | `BACKUP_NOT_FOUND` | `PRECONDITION`
 */
export async function planCompare(
  vault: VaultReader,
  request: {collection: string; point: string | undefined},
): Promise<BackupName> {
  const {collection} = request;
  const backup = await planDrill(vault, request);
  const {backups} = await requireReadable(vault, collection);
  if (backup !== backups.at(-1)) {
    throw new BkpError('BAD_REQUEST', `LEVEL='source' compares the newest backup, which is ${backups.at(-1)}`, {
      cause: 'the change log has no changes before it',
      next: `VERIFY ${quoteName(collection)} WITH (LEVEL='source')`,
    });
  }
  if ((await readBackup(vault, collection, backup)).body.mark !== undefined) return backup;
  const why = 'its newest backup was taken without incremental backups: nothing says what changed since then';
  throw withoutLog(collection, why);
}

/** @throws BkpError `PRECONDITION` if increments of the source need no log; `SOURCE_UNAVAILABLE` */
export async function requireLog(
  vault: VaultReader,
  source: TableSource,
  {collection, backup}: {collection: string; backup: BackupName},
): Promise<void> {
  await source.identity();
  const {mark} = (await readBackup(vault, collection, backup)).body;
  if (mark === undefined || source.isLogged === undefined || (await source.isLogged(mark))) return;
  throw withoutLog(collection, 'its increments find changes by reading the tables, so there is no log');
}

function withoutLog(collection: string, cause: string): BkpError {
  return new BkpError('PRECONDITION', `collection ${collection} has no change log to compare with its database`, {
    cause,
    next: `VERIFY ${quoteName(collection)} WITH (LEVEL='restore') checks the backup itself`,
  });
}

/**
 * Compares one snapshot of the source with the newest backup plus the changes that the change log has since then: what
 * an increment taken now would restore. Reads the log and changes nothing in the source, so the chain continues as if
 * this had not happened. The snapshot is opened when the backup is restored, and so is short.
 * @throws BkpError `DAMAGE_FOUND` with one detail for each difference; `PRECONDITION` if nothing can be compared
 */
export async function compareWithSource(tools: CompareTools, request: CompareRequest): Promise<CompareReport> {
  const {nowMicros, source, signal} = tools;
  const {collection, backup: name} = request;
  const vault = tools.vault.uncached();
  const startedAtMicros = nowMicros();
  const backup = await readBackup(vault, collection, name);
  const {tracked, notChecked} = await comparable(source, backup);
  const {database} = backup.body.source;
  const own = tracked.map(({schema}) => schema);
  const others = backup.body.tables.map(({schema}) => schema).filter((schema) => !own.includes(schema));
  // They stay empty.
  const needed = source.neededBy?.(own, others) ?? [];
  const staging = await tools.scratch.stage([...own, ...needed], {
    id: 'compare',
    database,
    bases: basesOf(tracked, {changes: true}),
  });
  try {
    const logicalBytes = tracked.reduce((sum, table) => sum + bytesToLoad(staging, backup, table), 0);
    const meter = startMeter(tools, {bytesTotal: logicalBytes, itemsTotal: tracked.length});
    const target = {vault, staging, meter, signal};
    for (const table of tracked) await loadTrees(target, backup, table);
    for (const {schema, layers} of tracked) {
      for (const layer of layers) await loadLayer(target, backup, schema.name, layer);
      meter.item();
    }
    tools.progress({...meter.state(), phase: 'Source'});
    const wanted = [...own, ...needed].map(({name: table}) => table);
    const present = () => presentOf(source, wanted);
    const since = sinceOf(backup, backup.body.collection.id);
    const notCompared = new Map<TableName, string>();
    const allRows = (table: TableName, why: string) => {
      const text = `${table} is not compared, because the next increment takes all of its rows: ${why}`;
      notCompared.set(table, text);
      tools.notice(text);
    };
    const snapshot = await openListed('TABLE_NOT_FOUND', present, (tables) =>
      source.snapshot({tables, since, signal, notice: tools.notice, allRows}),
    );
    try {
      const comparedAt = isoText(nowMicros());
      const now = new Set(snapshot.schemas.map(({name: table}) => table));
      const left = tracked.filter(({schema}) => now.has(schema.name));
      const dropped = goneText(tracked.map(({schema}) => schema.name).filter((table) => !now.has(table)));
      const {compared, logged, untracked} = await applyChanges({snapshot, notCompared}, backup, left, staging);
      if (compared.size === 0) throw nothingCompared([...notChecked, ...dropped, ...untracked]);
      const restored = await staging.finish({check: 'quick', contentOf: compared, signal, notice: tools.notice});
      const tables = await contentsCompared(snapshot, compared, restored);
      await snapshot.confirm();
      const different = tables.filter(({content}) => content === 'different').map((table) => table.name);
      let faults: readonly string[] = [];
      if (different.length > 0) {
        await staging.publish({signal});
        faults = await describeDifferences(
          {snapshot, scratch: tools.scratch, signal},
          {database, schemas: snapshot.schemas.filter((schema) => different.includes(schema.name))},
        );
      }
      const unknown = tables.filter(({content}) => content === 'unknown').map((table) => table.name);
      const draft: DraftReport = {
        level: 'source',
        collection,
        backup: name,
        takenAt: takenAtText(backup.body),
        startedAt: isoText(startedAtMicros),
        endedAt: isoText(nowMicros()),
        checked: [
          `One snapshot of ${source.description}, taken at ${comparedAt}, was compared with the backup plus ` +
            `${formatCount(logged, 'change')} in the change log since then: what an increment would restore.`,
          `Compared in number of rows and in every value: ${formatCount(tables.length - unknown.length, 'table')}.`,
        ],
        notChecked: [
          ...notChecked,
          ...dropped,
          ...untracked,
          ...(unknown.length > 0 ? [`The values of ${unknown.join(', ')}: a record is too large, or unreadable.`] : []),
          "Whether the backup can be restored with indexes, triggers and views: that is LEVEL='restore'.",
        ],
        tables,
        queries: [],
        faults,
        by: tools.author,
      };
      const kept = await keepReport(tools, manifestKey(collection, name), draft);
      if (faults.length > 0) throw differs(collection, faults);
      return {...kept, rows: tables.reduce((sum, {rows}) => sum + rows, 0), logicalBytes};
    } finally {
      await snapshot.close();
    }
  } finally {
    await staging.discard();
  }
}

type Comparable = {
  tracked: readonly TableBackup[];
  notChecked: readonly string[];
};

async function comparable(source: TableSource, {body}: Backup): Promise<Comparable> {
  const names = body.tables.map(({schema}) => schema.name);
  const present = new Set(await presentOf(source, names));
  const whole = body.tables.filter((table) => table.whole).map(({schema}) => schema.name);
  const gone = names.filter((table) => !present.has(table) && !whole.includes(table));
  const tracked = body.tables.filter(({schema}) => present.has(schema.name) && !whole.includes(schema.name));
  const notChecked = [
    ...(whole.length > 0
      ? [`Each increment takes all rows of ${whole.join(', ')}: there are no changes to check.`]
      : []),
    ...goneText(gone),
  ];
  if (tracked.length === 0) throw nothingCompared(notChecked);
  return {tracked, notChecked};
}

/** Those of the tables that the source has now. */
const presentOf = async (source: TableSource, tables: readonly TableName[]): Promise<readonly TableName[]> =>
  (await source.describe(tables)).filter(({state}) => state === 'present').map(({name}) => name);

const goneText = (tables: readonly TableName[]): readonly string[] =>
  tables.length > 0 ? [`${tables.join(', ')}: not in the source any more.`] : [];

async function applyChanges(
  {snapshot, notCompared}: {snapshot: Snapshot; notCompared: ReadonlyMap<TableName, string>},
  backup: Backup,
  tracked: readonly TableBackup[],
  staging: Awaited<ReturnType<TableSource['stage']>>,
): Promise<{compared: Set<TableName>; logged: number; untracked: readonly string[]}> {
  const compared = new Set<TableName>();
  const untracked: string[] = [];
  let logged = 0;
  for (const {schema} of tracked) {
    const {name} = schema;
    if (snapshot.compare !== undefined) {
      untracked.push(`${name}: its changes are found by reading it, so there is no log to compare it with.`);
      continue;
    }
    const changes = await snapshot.changes(name, backup.body.mark!);
    if (changes === 'rebase') {
      untracked.push(`${notCompared.get(name)}.`);
      continue;
    }
    compared.add(name);
    logged += changes.logged;
    if (changes.logged === 0) continue;
    const {keys, rows} = changes.read();
    for await (const {bytes} of keys) await staging.removeKeys(name, bytes);
    for await (const {bytes} of rows) await staging.load(name, bytes);
  }
  return {compared, logged, untracked};
}

async function contentsCompared(
  snapshot: Snapshot,
  compared: ReadonlySet<TableName>,
  restored: readonly PublishedTable[],
): Promise<readonly ReportedTable[]> {
  const tables: ReportedTable[] = [];
  for (const {name, rows: expected, content: then} of restored) {
    if (!compared.has(name)) continue;
    const now = (await snapshot.content(name, {mostBytes: Number.POSITIVE_INFINITY}))?.content;
    const rows = now?.rows ?? (await snapshot.countRows(name));
    const isKnown = now !== undefined && then !== undefined;
    const isEqual = rows === expected && (!isKnown || now.hash === then.hash);
    tables.push({name, rows, expected, content: isEqual ? (isKnown ? 'equal' : 'unknown') : 'different'});
  }
  return tables;
}

function differs(collection: string, faults: readonly string[]): BkpError {
  return new BkpError('DAMAGE_FOUND', `the source of ${collection} is not the newest backup plus its tracked changes`, {
    details: faults,
    next: `BACKUP ${quoteName(collection)} takes a new full backup; bkp report ${quoteName(collection)} has the report`,
  });
}

function nothingCompared(why: readonly string[]): BkpError {
  return new BkpError('PRECONDITION', 'nothing could be compared: no table has tracked changes since the backup', {
    details: why,
    next: "take a backup of this database first; or check the backup alone, with LEVEL='restore'",
  });
}
