import {startMeter} from '../../backups/index.ts';
import {
  bytesOf,
  createScratch,
  loadTables,
  type OpenedBackup,
  requireTable,
  segmentsFor,
  type TableToRead,
} from '../../collections/index.ts';
import {BkpError} from '../../errors/index.ts';
import {formatBytes} from '../../lib/figures.ts';
import type {BackupTable, OpenedTables} from '../../query/index.ts';
import type {ScratchTables} from '../../sources/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {openScratchFolder, type ScratchFolder} from '../places/scratch-folder.ts';
import type {Workplace} from '../places/workplace.ts';
import {interruptible, openNamed, openVaultOf, plainTable, refOf} from './opening.ts';
import {shownBy} from './progress.ts';

/** A table in a file takes up to this many times the bytes of its rows; more if many of its columns are UNIQUE. */
const growth = 1.5;

/** SQLite attaches at most ten databases to a statement. */
const mostBackups = 10;

/** One backup in a statement, and its tables without repetition. */
type Read = {
  opened: OpenedBackup;
  scratch: ScratchTables;
  wanted: readonly {name: string; uses: readonly BackupTable[]}[];
};

/** Opens the tables of backups that a SELECT names: each backup becomes a scratch file. */
export async function openBackupTables(deps: Deps, named: readonly BackupTable[]): Promise<OpenedTables> {
  const vaults = new Map<string, {vault: Vault; place: Workplace}>();
  const reads: Read[] = [];
  let folder: ScratchFolder | undefined;
  const close = async () => {
    deps.showProgress?.(undefined);
    for (const {scratch} of reads) await scratch.discard();
    folder?.remove();
    for (const {vault} of vaults.values()) vault.close();
  };
  try {
    folder = openScratchFolder(deps);
    const groups = new Map<string, {opened: OpenedBackup; uses: BackupTable[]}>();
    const labels: string[] = [];
    for (const table of named) {
      const {collection, point} = refOf(deps, table);
      const vault = vaults.get(collection) ?? (await openVaultOf(deps, collection));
      vaults.set(collection, vault);
      const opened = await openNamed(vault, {collection, point});
      const label = `${collection}/${opened.backup.body.backup}`;
      const group = groups.get(label) ?? {opened, uses: []};
      group.uses.push(table);
      groups.set(label, group);
      labels.push(label);
    }
    requireFew(groups.size);
    const limitBytes = (await deps.settings()).selectDisk * 2 ** 20;
    for (const {opened, uses} of groups.values()) reads.push(await startRead(opened, uses, folder.file()));
    const order = [...groups.keys()];
    return {
      tables: named.map((table, at) => {
        const database = order.indexOf(labels[at]!);
        const {opened, scratch} = reads[database]!;
        const {schema} = requireTable(opened, plainTable(table.table));
        const {name} = schema;
        return {database, name, columns: scratch.columns(name), keepsRowids: scratch.keepsRowids(name)};
      }),
      databases: reads.map((read) => ({
        empty: read.scratch.empty(),
        load: () => load(deps, read, {folder: folder!, limitBytes}),
      })),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function requireFew(backups: number): void {
  if (backups <= mostBackups) return;
  throw new BkpError('BAD_REQUEST', `the SELECT reads ${backups} backups, and at most ${mostBackups} are possible`, {
    next: 'compare fewer backups at a time; bkp diff compares two of them completely',
  });
}

async function startRead(opened: OpenedBackup, uses: readonly BackupTable[], path: string): Promise<Read> {
  const tables = uses.map((use) => requireTable(opened, plainTable(use.table)));
  const names = [...new Set(tables.map(({schema}) => schema.name))];
  const scratch = await createScratch(opened, [...new Set(tables)], {path});
  return {
    opened,
    scratch,
    wanted: names.map((name) => ({name, uses: uses.filter((_, at) => tables[at]!.schema.name === name)})),
  };
}

async function load(
  deps: Deps,
  {opened, scratch, wanted}: Read,
  {folder, limitBytes}: {folder: ScratchFolder; limitBytes: number},
): Promise<{path: string; bytes: number}> {
  const {signal} = deps;
  return interruptible(deps, 'the SELECT', async () => {
    const tables: TableToRead[] = [];
    for (const {name, uses} of wanted) {
      const table = requireTable(opened, name);
      const conditions = uses.map((use) => use.conditions);
      tables.push({table, segments: await segmentsFor(opened, {scratch, table, signal}, conditions)});
    }
    const bytes = bytesOf(opened, tables);
    const onDisk = Math.ceil(bytes * growth);
    requireAllowed(onDisk, limitBytes);
    folder.requireRoom(onDisk);
    const meter = startMeter({progress: shownBy(deps)}, {bytesTotal: bytes, itemsTotal: tables.length});
    await loadTables(opened, {scratch, meter, signal}, tables);
    return {path: scratch.path, bytes};
  });
}

function requireAllowed(bytes: number, limitBytes: number): void {
  if (bytes <= limitBytes) return;
  const doubled = 2 ** Math.ceil(Math.log2(bytes / 2 ** 20));
  throw new BkpError('BAD_REQUEST', `the tables need about ${formatBytes(bytes)} of disk space`, {
    cause: `select.limit.disk allows ${formatBytes(limitBytes)}`,
    next: `limit the rows by the primary key (WHERE id = …); bkp config set select.limit.disk ${doubled} allows more`,
  });
}
