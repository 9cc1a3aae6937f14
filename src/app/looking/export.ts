import {randomBytes} from 'node:crypto';
import {createWriteStream, lstatSync} from 'node:fs';
import {Readable, type Writable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {startMeter} from '../../backups/index.ts';
import {
  bytesOf,
  createScratch,
  findTable,
  loadTables,
  type OpenedBackup,
  planRestore,
  requirePossible,
  requireTable,
  restoreBackup,
} from '../../collections/index.ts';
import {absolutePath} from '../../config/index.ts';
import {BkpError, systemCode} from '../../errors/index.ts';
import {beginNewFile, type NewFile} from '../../lib/new-file.ts';
import {hasReplaced, replacedNotices} from '../../lib/replaced-text.ts';
import {openTablesIn, type TableSource} from '../../sources/index.ts';
import type {Deps} from '../deps.ts';
import {openScratchFolder} from '../places/scratch-folder.ts';
import {interruptible, type NamedBackup, plainTable, withBackup} from './opening.ts';
import {shownBy} from './progress.ts';
import {rowWriters, type TextFormat} from './text-rows.ts';

export type ExportRequest = {
  from: NamedBackup;
  /** As typed. */
  file: string;
  /** `database`: a database of the kind that was backed up. */
  format: TextFormat | 'database' | 'sql';
  /** Empty: all. A text file has one. */
  tables: readonly string[];
};

export type Exported = {backup: string; tables: number; rows: number};

/** Writes a file that appears when it is complete. @throws BkpError `PRECONDITION` if there is one already */
export function exportToFile(deps: Deps, request: ExportRequest): Promise<Exported> {
  const target = absolutePath(request.file, deps.cwd, 'file');
  return interruptible(deps, 'the export', () =>
    withBackup(deps, request.from, async (opened) => {
      requireFree(target, request.file);
      const {format, tables} = request;
      // What is left beside the name by another database would be part of this one.
      const requirePlace = async () => format === 'database' && (await requireRestorable(opened, target, tables));
      await requirePlace();
      const place = begin(deps, target, request.file);
      try {
        const to = () => createWriteStream(place.path, {flags: 'wx'});
        const exported =
          format === 'database'
            ? await writeDatabase(deps, opened, {path: place.path, tables})
            : format === 'sql'
              ? await writeScript(deps, opened, {tables, to, end: true})
              : await writeText(deps, opened, {
                  format,
                  table: onlyTable(opened, request),
                  to,
                  end: true,
                });
        await requirePlace();
        put(place, request.file);
        return exported;
      } catch (error) {
        // The write stream's errors are the system's.
        throw error instanceof BkpError || systemCode(error) === undefined ? error : unwritable(request.file, error);
      } finally {
        place.discard();
      }
    }),
  );
}

/** Writes rows to a stream, which stays open. */
export function exportToStream(
  deps: Deps,
  request: Omit<ExportRequest, 'format'> & {format: TextFormat | 'sql'},
  stream: Writable,
): Promise<Exported> {
  return interruptible(deps, 'the export', () =>
    withBackup(deps, request.from, (opened) => {
      const {format, tables} = request;
      const to = () => stream;
      if (format === 'sql') return writeScript(deps, opened, {tables, to, end: false});
      return writeText(deps, opened, {format, table: onlyTable(opened, request), to, end: false});
    }),
  );
}

function begin({nowMicros}: Deps, target: string, written: string): NewFile {
  try {
    return beginNewFile(target, {pid: process.pid, id: randomBytes(4).toString('hex'), nowMs: nowMicros() / 1000});
  } catch (error) {
    throw unwritable(written, error);
  }
}

function put(place: NewFile, written: string): void {
  try {
    place.place();
  } catch (error) {
    throw systemCode(error) === 'EEXIST' ? exists(written) : unwritable(written, error);
  }
}

function requireFree(target: string, written: string): void {
  // Also a link that leads nowhere, which is not replaced either.
  if (lstatSync(target, {throwIfNoEntry: false}) !== undefined) throw exists(written);
}

const exists = (written: string) =>
  new BkpError('PRECONDITION', `${written} exists already, and is not overwritten`, {
    next: `choose another name, or remove it first: rm '${written}'`,
  });

const unwritable = (written: string, cause: unknown) =>
  new BkpError('FILE_UNAVAILABLE', `${written} cannot be written`, {
    cause,
    next: 'check that its folder exists, that this user may write there, and that the disk has room',
  });

/** @throws BkpError as a restore into this file does */
async function requireRestorable(opened: OpenedBackup, path: string, tables: readonly string[]): Promise<void> {
  const source = await openTablesIn(opened.backup.body.source.description, path);
  try {
    requirePossible(await planInto(opened, source, tables));
  } finally {
    await source.close();
  }
}

function planInto({vault, collection, backup}: OpenedBackup, source: TableSource, tables: readonly string[]) {
  const wanted = tables.length === 0 ? undefined : tables.map((table) => ({name: plainTable(table)}));
  return planRestore(vault, source, {collection, point: backup.body.backup, tables: wanted});
}

/** A restore into a new file. */
async function writeDatabase(
  deps: Deps,
  opened: OpenedBackup,
  {path, tables}: {path: string; tables: readonly string[]},
): Promise<Exported> {
  const {vault, collection, backup} = opened;
  const source = await openTablesIn(backup.body.source.description, path);
  try {
    const point = backup.body.backup;
    const plan = await planInto(opened, source, tables);
    requirePossible(plan);
    const {check} = await deps.settings();
    const progress = shownBy(deps);
    const report = await restoreBackup(
      {vault, source, signal: deps.signal, nowMicros: deps.nowMicros, notice: deps.warn, progress},
      {collection, backup: point, choice: plan.choice, stagingId: randomBytes(6).toString('hex'), check},
    );
    return {backup: `${collection}/${point}`, tables: report.tables, rows: report.rows};
  } finally {
    await source.close();
  }
}

/** `end`: whether the stream ends after the rows. */
type TextOptions = {format: TextFormat; table: string; to: () => Writable; end: boolean};

async function writeText(deps: Deps, opened: OpenedBackup, {format, table, to, end}: TextOptions): Promise<Exported> {
  const {signal} = deps;
  const found = requireTable(opened, table);
  const {name} = found.schema;
  const folder = openScratchFolder(deps);
  const scratch = await createScratch(opened, [found], {path: folder.file()});
  try {
    const bytes = bytesOf(opened, [{table: found}]);
    folder.requireRoom(bytes);
    const meter = startMeter({progress: shownBy(deps)}, {bytesTotal: bytes, itemsTotal: 1});
    await loadTables(opened, {scratch, meter, signal}, [{table: found}]);
    deps.showProgress?.(undefined);
    const writer = rowWriters[format];
    const columns = scratch.columns(name);
    let rows = 0;
    let replaced = 0;
    const lines = function* () {
      yield writer.head(columns);
      for (const values of scratch.rows(name)) {
        if (hasReplaced(values)) replaced++;
        rows++;
        yield writer.line(columns, values);
      }
    };
    await pipeline(Readable.from(inPieces(lines())), to(), {signal, end});
    for (const notice of replacedNotices(replaced)) deps.warn(notice);
    return {backup: `${opened.collection}/${opened.backup.body.backup}`, tables: 1, rows};
  } finally {
    await scratch.discard();
    folder.remove();
  }
}

/** Statements with the rows of all tables, for the database's own client. @throws BkpError `UNSUPPORTED` */
async function writeScript(
  deps: Deps,
  opened: OpenedBackup,
  {tables, to, end}: {tables: readonly string[]; to: () => Writable; end: boolean},
): Promise<Exported> {
  const {signal} = deps;
  const all = opened.backup.body.tables;
  const wanted = tables.length === 0 ? all : tables.map((table) => requireTable(opened, plainTable(table)));
  const folder = openScratchFolder(deps);
  const scratch = await createScratch(opened, [...new Set(wanted)], {path: folder.file()});
  try {
    if (scratch.script === undefined) {
      throw new BkpError('UNSUPPORTED', 'a backup of SQLite is exported as a database, and not as a script', {
        next: `bkp export ${opened.collection} copy.db writes it; sqlite3 copy.db .dump prints it as statements`,
      });
    }
    const read = [...new Set(wanted)].map((table) => ({table}));
    const bytes = bytesOf(opened, read);
    folder.requireRoom(bytes * 3);
    const meter = startMeter({progress: shownBy(deps)}, {bytesTotal: bytes, itemsTotal: read.length});
    await loadTables(opened, {scratch, meter, signal}, read);
    deps.showProgress?.(undefined);
    await pipeline(Readable.from(inBlocks(scratch.script())), to(), {signal, end});
    const rows = read.reduce((sum, {table}) => sum + scratch.countRows(table.schema.name), 0);
    return {backup: `${opened.collection}/${opened.backup.body.backup}`, tables: read.length, rows};
  } finally {
    await scratch.discard();
    folder.remove();
  }
}

function* inBlocks(parts: Iterable<string | Uint8Array>): Generator<Uint8Array> {
  let block: Uint8Array[] = [];
  let bytes = 0;
  for (const part of parts) {
    const piece = typeof part === 'string' ? Buffer.from(part) : part;
    block.push(piece);
    bytes += piece.length;
    if (bytes < pieceLength) continue;
    yield Buffer.concat(block, bytes);
    [block, bytes] = [[], 0];
  }
  yield Buffer.concat(block, bytes);
}

/** Characters that are written together. */
const pieceLength = 64 * 1024;

function* inPieces(lines: Iterable<string>): Generator<string> {
  let piece = '';
  for (const line of lines) {
    piece += line;
    if (piece.length < pieceLength) continue;
    yield piece;
    piece = '';
  }
  if (piece !== '') yield piece;
}

/** The table of a text file: the one that was named, the one that the file is called after, or the only one. */
function onlyTable(opened: OpenedBackup, {tables, file}: Pick<ExportRequest, 'tables' | 'file'>): string {
  if (tables.length === 1) return plainTable(tables[0]!);
  const {tables: all} = opened.backup.body;
  if (tables.length === 0) {
    if (all.length === 1) return all[0]!.schema.name;
    const stem = /([^/\\]+)\.[^.]+$/.exec(file)?.[1]?.toLowerCase();
    const same = stem === undefined ? undefined : findTable(opened, stem);
    if (same !== undefined) return same.schema.name;
  }
  throw new BkpError('USAGE', `${file} can hold the rows of one table`, {
    next: `name it with --table, one of ${all.map(({schema}) => schema.name).join(', ')}; or export to a .db file`,
  });
}
