import {hostname} from 'node:os';
import {BkpError} from '../../errors/index.ts';
import type {Origin} from '../origin.ts';
import type {
  BackupParts,
  Choice,
  DatabaseFacts,
  Incoming,
  Mark,
  MergeMode,
  ScratchDatabases,
  Snapshot,
  SnapshotOptions,
  SourceCheck,
  Staging,
  TableFacts,
  TableName,
  TableSchema,
  TableSource,
  TargetFindings,
  WantedTable,
} from '../source.ts';
import {describeTables} from './catalog/describe.ts';
import {withEventTrigger} from './catalog/event-triggers.ts';
import {leftBehindOf, placesLeftBehind} from './catalog/left-behind.ts';
import {namingHolder} from './catalog/lock-holder.ts';
import {connect, defaultLockTimeoutSeconds} from './connection/connect.ts';
import {type Connection, majorOf} from './connection/connection.ts';
import type {Environment} from './connection/environment.ts';
import {type Resolved, resolveConnection} from './connection/resolve.ts';
import {chooseTables} from './restore/choose.ts';
import {withoutKey} from './restore/merge-fit.ts';
import {neededTables, refusalOf, requireFreeNames, requireNeeded, withoutPrimaryKey} from './restore/obstacles.ts';
import {rehearseRestore} from './restore/rehearse.ts';
import {
  askRestored,
  createScratch,
  removeScratch,
  requireCreatedb,
  scratchName,
  verifyRestored,
} from './restore/scratch-database.ts';
import {discardStaging, PostgresStaging} from './restore/staging.ts';
import {partsText, storedTables} from './restore/stored.ts';
import {inspectRights, type Needed} from './rights/inspect.ts';
import {preflight} from './rights/preflight.ts';
import {type TrackingMode, whyScanned} from './rights/tracking-mode.ts';
import {findPrograms, type Programs} from './schema/programs.ts';
import {openSnapshot} from './snapshot/open.ts';
import {brokenTracking, identityOf, listTracking, removeUnneeded, untrack} from './tracking/listing.ts';
import {keepMark} from './tracking/marks.ts';
import {isScanMark} from './tracking/scan-mark.ts';

export type PostgresSourceOptions = {
  /** As the user wrote it, without secrets. */
  description: string;
  /** libpq's connection parameters; what is absent comes from the environment. */
  parameters: Readonly<Record<string, string | undefined>>;
  /** Of bkp's settings; PGPASSWORD precedes it. */
  password?: string | undefined;
  env: Environment;
  /** Folder of pg_dump and pg_restore. */
  pgBin?: string | undefined;
  /** Seconds; default 5. */
  lockTimeout?: number | undefined;
  /** Default `auto`. */
  tracking?: TrackingMode | undefined;
  /** After a silence as long as this, the server is asked whether it is there; default 30 s. */
  quietMs?: number | undefined;
  /** How many read or load rows at the same time; default 2, and 3 in a backup. */
  connections?: number | undefined;
};

const defaultConnections = 2;
/** With fewer, one of two cores waits whenever bkp takes what the other one has read: a tenth of the time. */
const defaultReaders = 3;

/** A PostgreSQL database. One connection stays open between calls; a snapshot and a staging have their own. */
export class PostgresSource implements TableSource {
  readonly description: string;
  readonly abilities = {title: 'PostgreSQL', beside: 'schema', modes: ['merge', 'replace']} as const;
  readonly #options: PostgresSourceOptions;
  #resolved: Resolved | undefined;
  #found: Programs | undefined;
  #connection: Promise<Connection> | undefined;

  constructor(options: PostgresSourceOptions) {
    this.description = options.description;
    this.#options = options;
  }

  readonly scratch: ScratchDatabases = {
    require: async (options) => requireCreatedb(await this.#shared(), options),
    create: async (id) => {
      const connection = await this.#shared();
      await createScratch(connection, id).catch(async (error: unknown) => {
        // The answer may be all that was lost.
        if (connection.isLost) await this.#removeScratch(id).catch(() => {});
        throw error;
      });
      const parameters = {...this.#options.parameters, dbname: scratchName(id)};
      const source = new PostgresSource({...this.#options, parameters});
      return {
        source,
        name: scratchName(id),
        verify: async () => verifyRestored(await source.#shared()),
        ask: async (sql, end) => askRestored(await source.#shared(), sql, end),
        remove: async () => {
          await source.close();
          await this.#removeScratch(id);
        },
      };
    },
    remove: (id) => this.#removeScratch(id),
  };

  /** Where nothing may be written, the database has no number of bkp's: its own takes that place. */
  async identity(): Promise<string | undefined> {
    const connection = await this.#shared();
    const kept = await identityOf(connection);
    return kept ?? (whyScanned(connection, this.#mode) === undefined ? undefined : ownNumber(connection));
  }

  async origin(): Promise<Origin | undefined> {
    const connection = await this.#shared();
    const {host, port} = connection.facts.endpoint;
    return {
      host: host.startsWith('/') ? hostname() : host,
      path: `${host}:${port}/${this.#resolve().database}`,
      file: await ownNumber(connection),
    };
  }

  async describe(tables: readonly TableName[] | 'all'): Promise<readonly TableFacts[]> {
    return this.#naming(async () => describeTables(await this.#shared(), tables));
  }

  async leftBehind(tables: readonly TableName[] | 'all'): Promise<readonly string[]> {
    if (tables === 'all') return leftBehindOf(await this.#shared());
    const found = (await this.describe(tables)).filter(({state}) => state !== 'absent');
    return placesLeftBehind(
      await this.#shared(),
      found.map(({name}) => name),
    );
  }

  lacking({without}: DatabaseFacts): readonly string[] {
    return typeof without === 'string' ? without.split('\n') : [];
  }

  async preflight({tables, track}: {tables: readonly TableName[]; track: boolean}): Promise<void> {
    const connection = await this.#shared();
    await this.#naming(() => preflight(connection, {tables, track, mode: this.#mode}));
    await this.#programs(connection);
  }

  async isLogged(mark: Mark): Promise<boolean> {
    return !isScanMark(mark) && whyScanned(await this.#shared(), this.#mode) === undefined;
  }

  neededBy(schemas: readonly TableSchema[], others: readonly TableSchema[]): readonly TableSchema[] {
    return neededTables(schemas, others);
  }

  async snapshot(options: SnapshotOptions): Promise<Snapshot> {
    const {env, lockTimeout = defaultLockTimeoutSeconds, connections} = this.#options;
    const own = await this.#own('backup');
    return this.#naming(() =>
      openSnapshot(own, options, {
        resolved: this.#resolve(),
        programs: () => this.#programs(own),
        env,
        lockTimeoutSeconds: lockTimeout,
        connections: connections ?? defaultReaders,
        connectionsForMany: connections ?? defaultConnections,
        isScanned: whyScanned(own, this.#mode) !== undefined,
        connect: () => this.#own('backup'),
      }),
    );
  }

  async acknowledge(owner: string, mark: Mark): Promise<void> {
    // Nothing was written for this backup, and what earlier ones wrote is no longer needed.
    if (isScanMark(mark)) return this.untrack(owner);
    const connection = await this.#shared();
    await keepMark(connection, owner, mark);
    // A table that left keeps its triggers until its lock is free.
    await this.#naming(() => removeUnneeded(connection)).catch((error: unknown) => {
      if (!(error instanceof BkpError) || error.code !== 'SOURCE_LOCKED') throw error;
    });
  }

  async untrack(owner: string): Promise<void> {
    const connection = await this.#shared();
    // What a standby shows is the tracking of its primary.
    if (!connection.facts.inRecovery) await this.#naming(() => untrack(connection, owner));
  }

  async tracking(): Promise<readonly {owner: string; tables: readonly TableName[]; logRows: number}[]> {
    const connection = await this.#shared();
    return connection.facts.inRecovery ? [] : listTracking(connection);
  }

  async brokenTracking(): Promise<readonly {table: TableName; detail: string}[]> {
    const connection = await this.#shared();
    const broken = connection.facts.inRecovery ? [] : await brokenTracking(connection);
    return broken.map(({table, detail}) => ({table, detail}));
  }

  async removeBrokenTracking(): Promise<void> {
    const connection = await this.#shared();
    for (const {oid} of await brokenTracking(connection)) {
      // The next backup makes it again, and takes the table whole, because the witness has changed.
      await connection.rows("UPDATE _bkp.tracked SET made = '' WHERE rel = $1", [oid]);
    }
  }

  async choose(
    parts: BackupParts,
    wanted: readonly WantedTable[],
    {schema}: {schema?: string | undefined} = {},
  ): Promise<Choice> {
    return chooseTables(parts, wanted, schema);
  }

  async survey(
    incoming: Incoming,
    {rehearse, mode}: {rehearse: boolean; mode?: MergeMode | undefined},
  ): Promise<TargetFindings> {
    const {schemas} = incoming;
    const connection = await this.#shared();
    const brings = new Map(schemas.map(({name, definition}) => [name, partsText(definition)]));
    const refusal = await refusalOf(connection);
    if (refusal !== undefined) return {refusal, brings, notices: []};
    if (mode !== undefined) {
      const keyless = mode === 'merge' ? await withoutPrimaryKey(connection, schemas) : undefined;
      return {...(keyless === undefined ? {} : {obstacle: withoutKey(keyless)}), brings, notices: []};
    }
    try {
      await requireFreeNames(connection, storedTables(schemas));
      await requireNeeded(connection, storedTables(incoming.stored));
    } catch (error) {
      if (error instanceof BkpError) return {obstacle: error, brings, notices: []};
      throw error;
    }
    if (!rehearse) return {brings, notices: []};
    const own = await this.#own('dry run');
    try {
      return {brings, ...(await rehearseRestore(own, incoming))};
    } finally {
      await own.close();
    }
  }

  async stage(schemas: readonly TableSchema[], options: Parameters<TableSource['stage']>[1]): Promise<Staging> {
    const {id, database, objects = [], published = new Map(), mode, plan} = options;
    const {connections = defaultConnections} = this.#options;
    const own = () => this.#own('restore');
    return PostgresStaging.create(own, {schemas, id, database, objects, published, mode, plan, connections});
  }

  async discardStaging(id: string, options: {unlessContinuable?: boolean} = {}): Promise<boolean> {
    const connection = await this.#shared();
    return this.#naming(() => discardStaging(connection, id, options));
  }

  async inspect(needed: Needed = {read: 'all', track: 'all'}): Promise<readonly SourceCheck[]> {
    const connection = await this.#shared();
    const {place, version, inRecovery} = connection.facts;
    const major = majorOf(version);
    const programs = await this.#programs(connection).catch((error: unknown) => error as BkpError);
    return [
      {what: 'database', ok: true, detail: `${place}, PostgreSQL ${major}${inRecovery ? ', a standby' : ''}`},
      programs instanceof BkpError
        ? {
            what: 'pg_dump',
            ok: false,
            detail: programs.message,
            ...(programs.next === undefined ? {} : {next: programs.next}),
          }
        : {what: 'pg_dump', ok: true, detail: `${programs.folder}, version ${programs.major}`},
      ...(await inspectRights(connection, needed, this.#mode)),
    ];
  }

  async close(): Promise<void> {
    const connection = await this.#connection?.catch(() => undefined);
    this.#connection = undefined;
    await connection?.close();
  }

  /** A connection that nothing was sent on for a while may turn out to be broken. */
  async #removeScratch(id: string): Promise<void> {
    const connection = await this.#shared();
    await removeScratch(connection, id).catch(async (error: unknown) => {
      if (!connection.isLost) throw error;
      await removeScratch(await this.#shared(), id);
    });
  }

  get #mode(): TrackingMode {
    return this.#options.tracking ?? 'auto';
  }

  /** @throws BkpError `PRECONDITION` */
  async #programs({facts: {version}}: Connection): Promise<Programs> {
    const {pgBin, env} = this.#options;
    // Each program that is asked for its version is a process.
    this.#found ??= await findPrograms(majorOf(version), {pgBin, path: env.PATH});
    return this.#found;
  }

  #resolve(): Resolved {
    const {parameters, env, password} = this.#options;
    this.#resolved ??= resolveConnection(parameters, {env, password});
    return this.#resolved;
  }

  async #shared(): Promise<Connection> {
    this.#connection ??= connect(this.#resolve(), 'bkp', this.#options);
    const opened = this.#connection;
    try {
      const connection = await opened;
      if (!connection.isLost) return connection;
      // What broke it may have passed: what was left is removed on another one.
      if (this.#connection === opened) this.#connection = connect(this.#resolve(), 'bkp', this.#options);
      return await this.#connection;
    } catch (error) {
      this.#connection = undefined;
      throw error;
    }
  }

  /** Names the session that holds a lock, or the event trigger that refused, if one did. */
  async #naming<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await namingHolder(() => this.#shared(), work);
    } catch (error) {
      throw await this.#shared()
        .then((connection) => withEventTrigger(connection, error))
        .catch(() => error);
    }
  }

  async #own(what: string): Promise<Connection> {
    return connect(this.#resolve(), `bkp ${what}`, this.#options);
  }
}

/** Of a database in its cluster. A physical copy of the cluster has the same one; a database made anew has another. */
async function ownNumber(connection: Connection): Promise<string> {
  const [row] = await connection.rows(
    `SELECT system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database())
      FROM pg_control_system()`,
  );
  return `${row![0]}-${row![1]}`;
}
