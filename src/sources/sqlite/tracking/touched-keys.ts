import type {Connection, Value} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import {collated, keyColumns, nullable} from '../rows/boundary.ts';
import {keysOf} from '../rows/key-image.ts';
import {keyAffinity, type Table} from '../schema/table.ts';
import {logName} from '../triggers/names.ts';
import {keysAtMark} from './marks.ts';
import {mostKeys} from './may-block.ts';

/** A real number below every rowid. */
const belowAll = -1e19;

/**
 * The keys of a delta, each once, in a temporary table of the snapshot's connection: `n` counts from 1 without gaps,
 * `k0`, `k1`, … are the key.
 *
 * Keys that are equal to the primary key's index are one key here too, else their row would appear twice. They are
 * converted as the key's columns store them, because triggers can see a key in another form, and compared by its
 * collations.
 */
export class TouchedKeys {
  readonly name: string;
  count = 0;
  readonly #connection: Connection;
  readonly #table: Table;
  readonly #columns: string;
  readonly #typed: string;
  readonly #groups: string;
  readonly #tell: (keys: number) => void;

  /** @param blocks called as soon as there are many keys, which are to be looked up */
  constructor(connection: Connection, table: Table, blocks: (() => void) | undefined) {
    const {key} = table;
    const columns = keyColumns(key);
    this.#connection = connection;
    this.#table = table;
    this.#tell = (keys) => (keys >= mostKeys ? blocks?.() : undefined);
    this.name = `temp.${quoteName(`touched_${table.name}`)}`;
    this.#columns = columns.join(', ');
    this.#typed = columns.map((column, part) => `${column} ${keyAffinity(table, part)}`).join(', ');
    this.#groups = columns.map((column, part) => collated(key, part, column)).join(', ');
  }

  /** Creates the table with every key in the log after `since`. @returns their number */
  addLogged(since: bigint): number {
    const [connection, table] = [this.#connection, this.#table];
    const {key} = table;
    connection.exec(
      `DROP TABLE IF EXISTS ${this.name};
       CREATE TABLE ${this.name} (n INTEGER PRIMARY KEY, ${this.#typed}, UNIQUE (${this.#groups}))`,
    );
    const logged = `SELECT ${this.#columns} FROM main.${quoteName(logName(table.name))} WHERE seq > ?1`;
    if (key.kind === 'columns') {
      const groups = this.#groups;
      this.count = connection.run(`${this.#insert} ${logged} GROUP BY ${groups} ORDER BY ${groups}`, since);
      this.#tell(this.count);
      return this.count;
    }
    // To the triggers, a new row with the key -1 looks like a row whose key SQLite has yet to choose.
    const top = lowestTop(connection, table, since);
    const others = `SELECT ${key.alias} FROM main.${quoteName(table.name)} WHERE ${key.alias}`;
    this.count = connection.run(
      `${this.#insert} ${logged} AND k0 IS NOT NULL UNION ${others} > ?2 UNION ${others} = -1 ORDER BY 1`,
      since,
      top,
    );
    this.#tell(this.count);
    return this.count;
  }

  /** Adds the keys of earlier deltas after those of the log. */
  async addEarlier(segments: AsyncIterable<Uint8Array>): Promise<void> {
    const connection = this.#connection;
    const earlier = `temp.${quoteName(`earlier_${this.#table.name}`)}`;
    connection.exec(`DROP TABLE IF EXISTS ${earlier}; CREATE TABLE ${earlier} (${this.#typed})`);
    const encoding = String(connection.value('PRAGMA main.encoding'));
    // Without the CASE, a value would get the affinity of CAST.
    const value = (at: number) => `CASE ?${at} WHEN 'text' THEN CAST(?${at + 1} AS TEXT) ELSE ?${at + 1} END`;
    const parts = keyColumns(this.#table.key);
    const insert = `INSERT INTO ${earlier} VALUES (${parts.map((_, part) => value(2 * part + 1)).join(', ')})`;
    let keys = 0;
    for await (const segment of segments) {
      for (const values of keysOf(segment, parts, encoding)) keys += connection.run(insert, ...values);
    }
    this.#tell(keys);
    this.count += connection.run(
      `${this.#insert} SELECT ${this.#columns} FROM ${earlier} AS e WHERE ${this.#isNew}
       GROUP BY ${this.#groups} ORDER BY ${this.#groups}`,
    );
    connection.exec(`DROP TABLE ${earlier}`);
  }

  get #insert(): string {
    return `INSERT OR IGNORE INTO ${this.name} (${this.#columns})`;
  }

  /** The UNIQUE constraint keeps keys apart, except for those with a NULL. */
  get #isNew(): string {
    const {key} = this.#table;
    if (nullable(key).length === 0) return '1';
    const same = keyColumns(key).map((column, part) => `${collated(key, part, `k.${column}`)} IS e.${column}`);
    return `NOT EXISTS (SELECT 1 FROM ${this.name} AS k WHERE ${same.join(' AND ')})`;
  }
}

/**
 * A value that the table's largest key was never below since the mark; every row above it may be new since then.
 * While a row of the time of the mark exists, the largest key is not smaller than its key.
 */
function lowestTop(connection: Connection, table: Table, since: bigint): Value {
  const keys = keysAtMark(connection, table.name, since);
  const gone = connection.all(
    `SELECT DISTINCT k0 FROM main.${quoteName(logName(table.name))}
     WHERE seq > ? AND gone = 1 AND k0 IN (SELECT value FROM json_each(?))`,
    since,
    `[${keys}]`,
  );
  const stayed = keys.filter((key) => gone.every(({k0}) => k0 !== key));
  return stayed.reduce<Value>((top, key) => (typeof top !== 'bigint' || key > top ? key : top), belowAll);
}
