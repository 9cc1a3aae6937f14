import {assert} from '../../../errors/index.ts';
import type {Connection} from '../connection/connection.ts';
import type {TableLoad} from './table-load.ts';

type Active = {load: TableLoad; connection: Promise<Connection>; calls: number};

/**
 * Connections that load tables, one table each at a time. A table keeps its connection, and its transaction, from one
 * segment to the next until it ends, or until another table needs the connection.
 *
 * A value of another table's row type can only be read while no other session has that table for itself, as a
 * transaction has that empties it or builds its key. So only one of two such tables has a transaction.
 */
export class Loaders {
  readonly #connections: readonly Connection[];
  readonly #idle: Connection[];
  /** The least recently used one first. */
  readonly #active = new Map<TableLoad, Active>();
  /** Of tables that are loaded apart from others; also those that wait for their turn. */
  readonly #calls = new Set<{load: TableLoad; ended: Promise<unknown>}>();

  private constructor(connections: readonly Connection[]) {
    this.#connections = connections;
    this.#idle = [...connections];
  }

  /** Opens `count` connections, or as many of them as the server has left. */
  static async open(connect: () => Promise<Connection>, count: number): Promise<Loaders> {
    const opened = await Promise.allSettled(Array.from({length: count}, connect));
    const connections = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = opened.find((result) => result.status === 'rejected');
    if (connections.length === 0) throw failed!.reason;
    return new Loaders(connections);
  }

  /** As many tables may be loaded at the same time. */
  get count(): number {
    return this.#connections.length;
  }

  /** Runs `work` in the transaction of a table, which begins if it has none. */
  async inTransaction<T>(load: TableLoad, work: (connection: Connection) => Promise<T>): Promise<T> {
    const {apart} = load;
    if (apart.size === 0) return this.#inTransaction(load, work);
    const before = [...this.#calls].filter((call) => apart.has(call.load)).map(({ended}) => ended);
    const turn = Promise.allSettled(before).then(async () => {
      for (const other of [...this.#active.values()]) {
        if (apart.has(other.load)) this.#idle.push(await this.#ended(other));
      }
      return this.#inTransaction(load, work);
    });
    const call = {load, ended: turn};
    this.#calls.add(call);
    return turn.finally(() => this.#calls.delete(call));
  }

  async #inTransaction<T>(load: TableLoad, work: (connection: Connection) => Promise<T>): Promise<T> {
    const active = this.#active.get(load) ?? {load, connection: this.#begin(load), calls: 0};
    this.#active.delete(load);
    this.#active.set(load, active);
    active.calls += 1;
    try {
      return await work(await active.connection);
    } finally {
      active.calls -= 1;
    }
  }

  /** Commits what was loaded, and with it what `work` does. */
  async end<T>(load: TableLoad, work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.inTransaction(load, async (connection) => {
      const done = await work(connection);
      this.#idle.push(await this.#ended(this.#active.get(load)!));
      return done;
    });
  }

  /** Runs `work` on a connection without a transaction. */
  async use<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.#take();
    try {
      return await work(connection);
    } finally {
      this.#idle.push(connection);
    }
  }

  /** @param leader asks the server to cancel what still runs after an error */
  async close(leader: Connection): Promise<void> {
    for (const connection of this.#connections) {
      if (!this.#idle.includes(connection)) {
        await leader.rows('SELECT pg_cancel_backend($1)', [connection.pid]).catch(() => {});
      }
      await connection.close();
    }
  }

  async #begin(load: TableLoad): Promise<Connection> {
    const connection = await this.#take();
    await load.begin(connection);
    return connection;
  }

  async #take(): Promise<Connection> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const least = [...this.#active.values()].find(({calls}) => calls === 0);
    assert(least !== undefined, 'no more tables are loaded at the same time than there are connections');
    return this.#ended(least);
  }

  /** Commits what was loaded. @returns its connection, which is free now */
  async #ended({load, connection}: Active): Promise<Connection> {
    this.#active.delete(load);
    const free = await connection;
    await free.run('COMMIT');
    return free;
  }
}
