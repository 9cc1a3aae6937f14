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

/** @param version as in `server_version_num` */
export const majorOf = (version: number): number => Math.floor(version / 10_000);

/** Whether the server still has the session. It never throws. */
export type IsAlive = () => Promise<boolean>;

/** How long the end of a session may take, which the server only has to notice. */
const goodbyeMs = 5000;

/** The socket of a session. After TLS has begun, it is another one. */
export const streamOf = (client: Client) => (client as unknown as {connection: {stream: Socket}}).connection.stream;

/** The number of the session, as the server gave it at login. The types of pg lack it. */
export const pidOf = (client: Client): number => (client as unknown as {processID: number}).processID;

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
    return pidOf(this.#client);
  }

  /** Nothing can be asked any more, because it broke or was closed. */
  get isLost(): boolean {
    return this.#isClosed || this.#lost !== undefined;
  }

  /** Rows of one statement. @throws BkpError */
  async rows(sql: string, values: readonly (string | number | null)[] = []): Promise<readonly Row[]> {
    return this.#run(sql, async () => {
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
    await this.#run(sql, () => this.#client.query(sql));
  }

  /** `COPY … TO STDOUT`. @param take see {@link CopyOut} @returns the rows */
  async copyOut(sql: string, take: TakeRows): Promise<number> {
    return this.#run(sql, async () => {
      const copy = new CopyOut(sql, take);
      this.#client.query(copy);
      await copy.done;
      return copy.rows;
    });
  }

  /** `COPY … FROM STDIN`. @returns the rows */
  async copyIn(sql: string, pieces: AsyncIterable<Uint8Array>): Promise<number> {
    return this.#run(sql, async () => {
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

  /**
   * Ends the session; may be called twice, and also while a statement runs. It never throws, and does not wait for a
   * server that does not answer.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const timer = setTimeout(() => streamOf(this.#client).destroy(), goodbyeMs);
    await this.#client.end().catch(() => {});
    clearTimeout(timer);
  }

  /** Ends the connection at once, whatever runs: the server notices it. */
  destroy(): void {
    this.#isClosed = true;
    streamOf(this.#client).destroy();
  }

  /**
   * Lets another program use the server while this session is idle.
   * @param work its signal is aborted when the server does not answer any longer
   */
  async whileAlive<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const silence = new AbortController();
    const watch = this.#askEvery(
      () => true,
      () => silence.abort(),
    );
    try {
      const result = await work(silence.signal);
      if (silence.signal.aborted) throw translated(silent(), this.facts);
      return result;
    } catch (error) {
      throw silence.signal.aborted ? translated(silent(), this.facts) : error;
    } finally {
      watch.stop();
    }
  }

  async #run<T>(sql: string, work: () => Promise<T>): Promise<T> {
    const stream = streamOf(this.#client);
    let seen = stream.bytesRead;
    const isQuiet = () => {
      const before = seen;
      seen = stream.bytesRead;
      return seen === before;
    };
    const watch = this.#askEvery(isQuiet, () => {
      if (this.#isClosed) return;
      this.#lost ??= silent();
      this.destroy();
    });
    try {
      if (this.#lost !== undefined) throw this.#lost;
      return await work();
    } catch (error) {
      throw translated(this.#lost ?? error, this.facts, sql);
    } finally {
      watch.stop();
    }
  }

  /**
   * A network that swallows everything is not noticed by TCP for hours. If nothing arrives for a while, another
   * connection asks the server whether it still knows this one.
   */
  #askEvery(isDue: () => boolean, lost: () => void): {stop(): void} {
    let isAsking = false;
    const timer = setInterval(() => {
      if (!isDue() || isAsking) return;
      isAsking = true;
      void this.#isAlive().then((isAlive) => {
        isAsking = false;
        if (!isAlive) lost();
      });
    }, this.#quietMs);
    timer.unref();
    return {stop: () => clearInterval(timer)};
  }
}

const silent = () =>
  Object.assign(new Error('nothing arrived from the server, and it does not answer'), {code: 'ETIMEDOUT'});
