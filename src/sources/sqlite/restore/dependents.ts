import {BkpError} from '../../../errors/index.ts';
import type {TableName} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {reachOfTrigger, reachOfView} from '../schema/reach.ts';
import {trackedBy} from '../triggers/own-objects.ts';

type Dependent = {kind: 'view' | 'trigger'; name: string; on: string; sql: string; ofTable: boolean; fault: string};

/**
 * Views of a database, and triggers of other tables, that a table's new schema can break: SQLite compiles them only
 * when they are used.
 */
export class Dependents {
  readonly #connection: Connection;
  readonly #changed: readonly TableName[];
  /** Those that could not be compiled before. */
  readonly #broken: ReadonlySet<string>;

  /** @param changed tables that are about to get another schema */
  constructor(connection: Connection, changed: readonly TableName[]) {
    this.#connection = connection;
    this.#changed = changed;
    this.#broken = new Set(this.#faults().map(idOf));
  }

  /**
   * A broken view fails when it is read. A broken trigger makes every write to its table fail, so it is refused.
   * @param notice receives the views that cannot be read any more
   * @throws BkpError `PRECONDITION` naming triggers
   */
  requireTriggers(notice: (text: string) => void): void {
    const found = this.#faults().filter((dependent) => !this.#broken.has(idOf(dependent)));
    for (const {kind, name, on, fault} of found.filter(({ofTable}) => !ofTable)) {
      const what = kind === 'view' ? `view ${name}` : `trigger ${name} of view ${on}`;
      notice(`${what} does not fit the schema of the backup, and fails when it is used: ${fault}`);
    }
    const triggers = found.filter(({ofTable}) => ofTable);
    if (triggers.length === 0) return;
    const alone = triggers.filter((trigger) => this.#failsAlone(trigger));
    const named = alone.length > 0 ? alone : triggers;
    throw new BkpError('PRECONDITION', 'triggers of other tables do not fit the schema of the backup', {
      cause: 'writes to their tables would fail; nothing was changed',
      details: named.map(({name, on, fault}) => `trigger ${name} of ${on}: ${fault}`),
      next: `drop them first (${named.map(({name}) => `DROP TRIGGER ${quoteName(name)}`).join('; ')})`,
    });
  }

  /** Whether it is this trigger that SQLite cannot compile, and not another one that fires with it. */
  #failsAlone({name, on, sql}: Dependent): boolean {
    const connection = this.#connection;
    const others = connection
      .all(`SELECT name FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE`, on)
      .map((row) => String(row.name))
      .filter((other) => other !== name);
    connection.exec('SAVEPOINT alone');
    try {
      for (const other of others) connection.exec(`DROP TRIGGER main.${quoteName(other)}`);
      return reachOfTrigger(connection, on, {name, sql}).fault !== undefined;
    } finally {
      connection.exec('ROLLBACK TO alone; RELEASE alone');
    }
  }

  #faults(): readonly Dependent[] {
    const connection = this.#connection;
    const changed = new Set(this.#changed.map(foldName));
    const rows = connection.all(
      `SELECT s.type, s.name, s.tbl_name, s.sql, t.type = 'view' AS of_view
       FROM main.sqlite_schema AS s LEFT JOIN main.sqlite_schema AS t
         ON t.type IN ('table', 'view') AND t.name = s.tbl_name COLLATE NOCASE
       WHERE s.type IN ('view', 'trigger') ORDER BY s.rowid`,
    );
    return rows.flatMap((row): Dependent[] => {
      const [name, on, sql] = [String(row.name), String(row.tbl_name), String(row.sql)];
      if (row.type === 'view') {
        const {fault} = reachOfView(connection, {name, sql});
        return fault === undefined ? [] : [{kind: 'view', name, on, sql, ofTable: false, fault}];
      }
      if (changed.has(foldName(on)) || trackedBy(connection, {name, sql}) !== undefined) return [];
      const {fault} = reachOfTrigger(connection, on, {name, sql});
      const ofTable = row.of_view !== 1n;
      return fault === undefined ? [] : [{kind: 'trigger', name, on, sql, ofTable, fault}];
    });
  }
}

const idOf = ({kind, name}: Dependent) => `${kind} ${foldName(name)}`;
