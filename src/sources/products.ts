import type {CheckpointSource, DatabaseMoment, FileSource, FileTarget} from './file-source.ts';
import type {PostgresSourceOptions} from './postgres/index.ts';
import type {Processes, QuestDbSourceOptions, ServerCommand} from './questdb/index.ts';
import type {RestoredDatabase} from './restored-database.ts';
import type {ScratchOptions, ScratchTables} from './scratch.ts';
import type {TableSource} from './source.ts';

/** Where a source is; one member for each database system. */
export type SourceSpec =
  /** `path`: absolute, or relative to the working directory. */
  | {scheme: 'sqlite'; path: string}
  /** See {@link QuestDbSourceOptions}. */
  | ({scheme: 'questdb'} & QuestDbSourceOptions)
  | ({scheme: 'postgres'} & PostgresSourceOptions);

export type TargetWish = {
  /** A file for SQLite, a folder for QuestDB; it need not exist. */
  place: string;
  /** Only these tables; absent: all. */
  tables?: readonly string[];
  /** Also restores files that are optional (a server's configuration). */
  withConf?: boolean;
};

/** What a database system can do. Rooms above read this and never compare schemes. */
export type Capabilities = {
  /** For people, inside a sentence: `QuestDB`. */
  readonly title: string;
  /** It opens as a {@link TableSource}: backup collections work. Otherwise it is only backed up as a whole. */
  readonly tables: boolean;
  /** It opens as a {@link CheckpointSource}. */
  readonly checkpoints: boolean;
  /** A server opens only the files that its own major version wrote. */
  readonly needsSameMajor: boolean;
  /** Queries in a restored database need a server; otherwise SQLite reads its file. */
  readonly needsServer: boolean;
  /** The files of its backups belong to tables, which can be restored separately. */
  readonly filesOfTables: boolean;
};

type Product = {
  readonly title: string;
  readonly needsSameMajor: boolean;
  readonly needsServer: boolean;
  readonly filesOfTables: boolean;
  /** Loads the code of the source, which is loaded when it is first opened otherwise. */
  load(): Promise<unknown>;
  openTables?(spec: SourceSpec): Promise<TableSource>;
  /** A database in a file that may not exist yet. Present if `openTables` is. */
  openTablesIn?(path: string): Promise<TableSource>;
  /** Present if `openTables` is. */
  openScratch?(options: ScratchOptions): Promise<ScratchTables>;
  openFiles?(spec: SourceSpec, processes?: Processes): Promise<FileSource>;
  openCheckpoints?(spec: SourceSpec, processes?: Processes): Promise<CheckpointSource>;
  openTarget?(wish: TargetWish): Promise<FileTarget>;
  /** Present if `openTarget` is. @param place the one of the target */
  openRestored?(place: string, command?: ServerCommand): Promise<RestoredDatabase>;
  /** Ends what a drill started whose process is dead. @param folder the one with its place */
  endLeftover?(folder: string): Promise<void>;
};

type SpecOf<Scheme> = SourceSpec & {scheme: Scheme};

async function openQuestDb(spec: SpecOf<'questdb'>, processes?: Processes): Promise<CheckpointSource> {
  return (await import('./questdb/index.ts')).openQuestDbSource(spec, processes);
}

/** The one place that knows every database system. Each is loaded when it is first opened. */
const products: Readonly<Record<SourceSpec['scheme'], Product>> = {
  postgres: {
    title: 'PostgreSQL',
    needsSameMajor: false,
    needsServer: true,
    filesOfTables: false,
    load: () => import('./postgres/index.ts'),
    async openTables(spec: SpecOf<'postgres'>) {
      return new (await import('./postgres/index.ts')).PostgresSource(spec);
    },
    async openScratch(options) {
      return new (await import('./postgres/scratch/scratch.ts')).PostgresScratch(options);
    },
  },
  questdb: {
    title: 'QuestDB',
    needsSameMajor: true,
    needsServer: true,
    filesOfTables: true,
    load: () => import('./questdb/index.ts'),
    openFiles: openQuestDb,
    openCheckpoints: openQuestDb,
    async openTarget({place, ...more}) {
      return (await import('./questdb/index.ts')).openQuestDbTarget({root: place, ...more});
    },
    async openRestored(place, command) {
      return (await import('./questdb/index.ts')).openRestoredQuestDb(place, command);
    },
    async endLeftover(folder) {
      (await import('./questdb/index.ts')).endLeftoverServer(folder);
    },
  },
  sqlite: {
    title: 'SQLite',
    needsSameMajor: false,
    needsServer: false,
    filesOfTables: false,
    load: () => import('./sqlite/index.ts'),
    async openTables({path}: SpecOf<'sqlite'>) {
      return new (await import('./sqlite/index.ts')).SqliteSource(path);
    },
    async openTablesIn(path) {
      return new (await import('./sqlite/index.ts')).SqliteSource(path);
    },
    async openScratch(options) {
      return new (await import('./sqlite/scratch/scratch.ts')).SqliteScratch(options);
    },
    async openFiles({path}: SpecOf<'sqlite'>) {
      return new (await import('./sqlite/file/files.ts')).SqliteFileSource(path);
    },
    async openTarget({place}) {
      return new (await import('./sqlite/file/target.ts')).SqliteFileTarget(place);
    },
    async openRestored(place) {
      return new (await import('./sqlite/file/restored.ts')).RestoredSqlite(place);
    },
  },
};

/** Schemes of all database systems, as manifests and addresses name them. */
export const productNames = ['questdb', 'sqlite'] as const satisfies readonly DatabaseMoment['product'][];

export function productOf(scheme: SourceSpec['scheme']): Product {
  return products[scheme];
}

export function capabilitiesOf(scheme: SourceSpec['scheme']): Capabilities {
  const {title, needsSameMajor, needsServer, filesOfTables, openTables, openCheckpoints} = products[scheme];
  return {
    ...{title, needsSameMajor, needsServer, filesOfTables},
    tables: openTables !== undefined,
    checkpoints: openCheckpoints !== undefined,
  };
}
