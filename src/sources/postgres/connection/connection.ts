import type {Socket} from 'node:net';
import type {Client} from 'pg';
import {CopyIn} from './copy-in.ts';
import {CopyOut, type TakeRows} from './copy-out.ts';
import {translated} from './errors.ts';
import type {Endpoint} from './resolve.ts';

/** Values as the server writes them; nothing is converted. */
export type Row = readonly (string | null)[];

export type ConnectionFacts = {
  /** For messages: `shop at db.internal:5432`. */
  place: string;
  /** The arguments with which psql opens the same database. */
  psql: string;
  /** As in `server_version_num`: 150018. */
  version: number;
  /** Of the database: `UTF8`, `LATIN1`, `SQL_ASCII`, … */
  encoding: string;
  inRecovery: boolean;
  /** Which of the address's endpoints it is. */
  endpoint: Endpoint;
};

/** Whether the server still has the session of this process. It never throws. */
export type IsAlive = (pid: number) => Promise<boolean>;

/** One session of a PostgreSQL server. Every error is a BkpError. */
export class Connection {
  readonly facts: ConnectionFacts;
  readonly #client: Client;
  readonly #isAlive: IsAlive;
  readonly #quietMs: number;
  #isClosed = false;
  #lost: unknown;

  /**
   * @param client connected; the connection owns it from now on
   * @param options.quietMs after a silence as long as this, `isAlive` is asked
   */
  constructor(client: Client, facts: ConnectionFacts, isAlive: IsAlive, {quietMs = 30_000} = {}) {
    this.#client = client;
    this.#isAlive = isAlive;
    this.#quietMs = quietMs;
    this.facts = facts;
    // An event without a listener would end the process; the next query reports the error.
    client.on('error', (error) => {
      this.#lost ??= error;
    });
  }

  /** The server process, for pg_cancel_backend and pg_stat_activity. */
  get pid(): number {
    return (this.#client as unknown as {processID: number}).processID;
  }

  /** Rows of one statement. @throws BkpError */
  async rows(sql: string, values: readonly (string | number | null)[] = []): Promise<readonly Row[]> {
    return this.#run(async () => {
      const {rows} = await this.#client.query<(string | null)[]>({
        text: sql,
        values: [...values],
        rowMode: 'array',
        types: {getTypeParser: () => (value: string) => value},
      });
      return rows;
    });
  }

  /** The first column of the first row. */
  async value(sql: string, values: readonly (string | number | null)[] = []): Promise<string | undefined> {
    return (await this.rows(sql, values))[0]?.[0] ?? undefined;
  }

  /** Several statements in one text, without results. */
  async run(sql: string): Promise<void> {
    await this.#run(() => this.#client.query(sql));
  }

  /** `COPY … TO STDOUT`. @param take see {@link CopyOut} @returns the rows */
  async copyOut(sql: string, take: TakeRows): Promise<number> {
    return this.#run(async () => {
      const copy = new CopyOut(sql, take);
      this.#client.query(copy);
      await copy.done;
      return copy.rows;
    });
  }

  /** `COPY … FROM STDIN`. @returns the rows */
  async copyIn(sql: string, pieces: AsyncIterable<Uint8Array>): Promise<number> {
    return this.#run(async () => {
      const copy = new CopyIn(sql, pieces);
      this.#client.query(copy);
      return copy.done;
    });
  }

  /** Runs `work` in a transaction, which is rolled back if it throws. @param begin such as `BEGIN READ ONLY` */
  async transaction<T>(begin: string, work: () => Promise<T>): Promise<T> {
    await this.run(begin);
    try {
      const result = await work();
      await this.run('COMMIT');
      return result;
    } catch (error) {
      if (!this.#isClosed) await this.run('ROLLBACK').catch(() => {});
      throw error;
    }
  }

  /** Ends the session; may be called twice, and also while a statement runs. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#client.end().catch(() => {});
  }

  /** Ends the connection at once, whatever runs: the server notices it. */
  destroy(): void {
    this.#isClosed = true;
    (this.#client as unknown as {connection: {stream: {destroy(): void}}}).connection.stream.destroy();
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    const watch = this.#watch();
    try {
      if (this.#lost !== undefined) throw this.#lost;
      return await work();
    } catch (error) {
      throw translated(this.#lost ?? error, this.facts);
    } finally {
      watch.stop();
    }
  }

  /**
   * A network that swallows everything is not noticed by TCP for hours. If nothing arrives for a while, another
   * connection asks the server whether it still knows this one.
   */
  #watch(): {stop(): void} {
    const {stream} = (this.#client as unknown as {connection: {stream: Socket}}).connection;
    let seen = stream.bytesRead;
    let isAsking = false;
    const timer = setInterval(() => {
      const isQuiet = stream.bytesRead === seen;
      seen = stream.bytesRead;
      if (!isQuiet || isAsking) return;
      isAsking = true;
      void this.#isAlive(this.pid).then((isAlive) => {
        isAsking = false;
        if (isAlive || this.#isClosed) return;
        this.#lost ??= Object.assign(new Error('nothing arrived from the server, and it does not answer'), {
          code: 'ETIMEDOUT',
        });
        this.destroy();
      });
    }, this.#quietMs);
    timer.unref();
    return {stop: () => clearInterval(timer)};
  }
}
