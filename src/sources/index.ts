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
