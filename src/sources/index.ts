import type {DatabaseMoment, FileSource, FileTarget} from './file-source.ts';
import type {TableSource} from './source.ts';

export type * from './file-source.ts';
export type * from './source.ts';

/** Where a source is; one member a database system. */
export type SourceSpec = {
  scheme: 'sqlite';
  /** Absolute, or below the working directory. */
  path: string;
};

/** Opens nothing yet: a missing or damaged database is told by the first call that needs it. */
export async function openSource(spec: SourceSpec): Promise<TableSource> {
  const {SqliteSource} = await import('./sqlite/index.ts');
  return new SqliteSource(spec.path);
}

/** The same database as files. Opens nothing yet. */
export async function openFileSource(spec: SourceSpec): Promise<FileSource> {
  const {SqliteFileSource} = await import('./sqlite/files.ts');
  return new SqliteFileSource(spec.path);
}

/** @param place a file for SQLite; it need not be there */
export async function openFileTarget(_product: DatabaseMoment['product'], place: string): Promise<FileTarget> {
  const {SqliteFileTarget} = await import('./sqlite/file-target.ts');
  return new SqliteFileTarget(place);
}
