import {assert, BkpError} from '../errors/index.ts';
import type {CheckpointSource, DatabaseMoment, FileSource, FileTarget} from './file-source.ts';
import {capabilitiesOf, productNames, productOf, type SourceSpec, type TargetWish} from './products.ts';
import type {Processes, ServerCommand} from './questdb/index.ts';
import type {RestoredDatabase} from './restored-database.ts';
import type {ScratchOptions, ScratchTables} from './scratch.ts';
import type {TableSource} from './source.ts';

export type * from './file-source.ts';
export {isSameFile, isSamePlace, type Origin, originSchema, placeText, type Whereabouts} from './origin.ts';
export {type Capabilities, capabilitiesOf, productNames, type SourceSpec, type TargetWish} from './products.ts';
export type * from './restored-database.ts';
export type * from './scratch.ts';
export type * from './source.ts';
export {TakeRows} from './take-rows.ts';

/**
 * A database as tables. Opens nothing yet: a missing or damaged database is reported by the first call that needs it.
 * @throws BkpError `UNSUPPORTED` when the database system is only backed up as a whole
 */
export async function openSource(spec: SourceSpec): Promise<TableSource> {
  const product = productOf(spec.scheme);
  if (product.openTables !== undefined) return product.openTables(spec);
  throw noCollections(product.title);
}

/** Loads the code for a source that will probably be opened soon. */
export async function loadSource(scheme: SourceSpec['scheme']): Promise<void> {
  await productOf(scheme).load();
}

/** @throws BkpError `UNSUPPORTED` when databases of this system are only backed up as a whole */
export function requireCollections(scheme: SourceSpec['scheme']): void {
  const {tables, title} = capabilitiesOf(scheme);
  if (!tables) throw noCollections(title);
}

function noCollections(title: string): BkpError {
  return new BkpError('UNSUPPORTED', `a ${title} source has no backup collections`, {
    next: 'BACKUP DATABASE backs it up whole; single tables come back with RESTORE DATABASE TABLE …',
  });
}

/**
 * Creates tables of a backup, to be looked into.
 * @param description of the source that the backup was taken from
 * @throws BkpError `UNSUPPORTED` for a database system whose tables this bkp does not know
 */
export async function openScratch(description: string, options: ScratchOptions): Promise<ScratchTables> {
  const open = productNamed(description)?.openScratch;
  if (open === undefined) throw unknownTables(description);
  return open(options);
}

/**
 * A database of the system that a backup was taken from, in a file that may not exist yet.
 * @param description of the source of the backup
 * @throws BkpError `UNSUPPORTED`
 */
export async function openTablesIn(description: string, path: string): Promise<TableSource> {
  const open = productNamed(description)?.openTablesIn;
  if (open === undefined) throw unknownTables(description);
  return open(path);
}

function productNamed(description: string) {
  if (/^postgres(?:ql)?:/u.test(description)) return productOf('postgres');
  const scheme = productNames.find((name) => description.startsWith(`${name}::`));
  return scheme === undefined ? undefined : productOf(scheme);
}

function unknownTables(description: string): BkpError {
  const isServer = productNamed(description) !== undefined;
  return new BkpError(
    'UNSUPPORTED',
    isServer
      ? `${description} is on a server, and has no database file`
      : `this bkp cannot read tables of backups of ${description}`,
    {
      next: isServer
        ? 'export a script for psql, to a file that ends in .sql; or one table with --table, to one that ends in .csv'
        : 'use the bkp that took the backup',
    },
  );
}

/** Whether backups of this source are restored into a file, and not by a server. @param description of the source */
export function isInFile(description: string): boolean {
  return productNamed(description)?.openTablesIn !== undefined;
}

/**
 * The same database as files. Opens nothing yet.
 * @throws BkpError `UNSUPPORTED` when the database system is only backed up as tables
 * @param processes finds out whether the bkp process that holds a checkpoint has ended; absent: this stays unknown
 */
export async function openFileSource(spec: SourceSpec, processes?: Processes): Promise<FileSource> {
  const {openFiles} = productOf(spec.scheme);
  if (openFiles === undefined) throw withoutFiles(spec);
  return openFiles(spec, processes);
}

/** @throws BkpError `UNSUPPORTED` when the database system is only backed up as tables */
export function requireFiles(spec: Pick<SourceSpec, 'scheme'>): void {
  if (productOf(spec.scheme).openFiles === undefined) throw withoutFiles(spec);
}

function withoutFiles({scheme}: Pick<SourceSpec, 'scheme'>): BkpError {
  return new BkpError('UNSUPPORTED', `a ${productOf(scheme).title} source has no files that bkp can read`, {
    next: 'CREATE BACKUP COLLECTION … DATABASE holds all its tables; BACKUP of that collection takes a backup',
  });
}

/** The same again, with the checkpoints of its server. @throws BkpError `UNSUPPORTED` when there are none */
export function openCheckpointSource(spec: SourceSpec, processes?: Processes): Promise<CheckpointSource> {
  const product = productOf(spec.scheme);
  if (product.openCheckpoints !== undefined) return product.openCheckpoints(spec, processes);
  throw new BkpError('UNSUPPORTED', `${product.title} has no checkpoints`, {
    next: 'BACKUP DATABASE takes a backup of this source, and needs none',
  });
}

export async function openFileTarget(name: DatabaseMoment['product'], wish: TargetWish): Promise<FileTarget> {
  const product = productOf(name);
  assert(product.openTarget !== undefined, `${product.title} is restored as files`);
  return product.openTarget(wish);
}

/**
 * What a target of this product has published, opened for a drill.
 * @param place the one of the target
 * @param command starts a server on it, for systems that need one; absent: only files are examined
 */
export async function openRestored(
  name: DatabaseMoment['product'],
  place: string,
  command?: ServerCommand,
): Promise<RestoredDatabase> {
  const product = productOf(name);
  assert(product.openRestored !== undefined, `${product.title} is restored as files`);
  return product.openRestored(place, command);
}

/** Ends what a drill in this folder has started, if its process is dead. */
export async function endLeftover(name: DatabaseMoment['product'], folder: string): Promise<void> {
  await productOf(name).endLeftover?.(folder);
}
