import {BkpError} from '../../../errors/index.ts';
import {formatCount} from '../../../lib/figures.ts';
import type {Connection} from '../engine/connection.ts';
import {ResultCode, resultCode} from '../engine/errors.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import type {Table} from '../schema/table.ts';

const before = `temp.${ownPrefix}dangling`;
const mostNamed = 10;

/**
 * Foreign keys that lead nowhere, before and after. SQLite checks them only in connections that ask for it, so a
 * database may have such rows already: those are not the restore's, and do not prevent it.
 */
export class ForeignKeys {
  readonly #connection: Connection;
  /** The merged tables and those that refer to them. */
  readonly #tables: readonly string[];
  /** Tables whose rows may get another rowid: only how many of their rows dangle can be compared. */
  readonly #counted: ReadonlySet<string>;

  constructor(connection: Connection, merged: readonly Table[]) {
    this.#connection = connection;
    const names = JSON.stringify(merged.map(({name}) => name));
    this.#tables = connection
      .all(
        `SELECT t.name FROM pragma_table_list AS t WHERE t.schema = 'main' AND t.type = 'table' AND
           EXISTS (SELECT 1 FROM pragma_foreign_key_list(t.name, 'main') AS f
             WHERE t.name COLLATE NOCASE IN (SELECT value FROM json_each(?1))
               OR f."table" COLLATE NOCASE IN (SELECT value FROM json_each(?1)))`,
        names,
      )
      .map(({name}) => String(name));
    this.#counted = new Set(
      merged.filter(({key}) => key.kind !== 'rowid' || key.column === undefined).map(({name}) => name),
    );
    this.#note(before);
  }

  /** @throws BkpError `PRECONDITION` naming rows that refer to a row that does not exist, and did not before */
  requireNoNew(): void {
    const after = `temp.${ownPrefix}dangling_after`;
    this.#note(after);
    const counted = JSON.stringify([...this.#counted]);
    const found = this.#connection.all(
      `SELECT a.child, a.parent, a.at, count(*) OVER () AS number FROM ${after} AS a
       WHERE a.child NOT IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (
         SELECT 1 FROM ${before} AS b
         WHERE b.child = a.child AND b.at IS a.at AND b.parent = a.parent AND b.key = a.key)
       UNION ALL
       SELECT a.child, a.parent, NULL,
         count(*) - (SELECT count(*) FROM ${before} AS b WHERE b.child = a.child AND b.key = a.key) AS number
       FROM ${after} AS a WHERE a.child IN (SELECT value FROM json_each(?1))
       GROUP BY a.child, a.parent, a.key
       HAVING count(*) > (SELECT count(*) FROM ${before} AS b WHERE b.child = a.child AND b.key = a.key)
       LIMIT ${mostNamed}`,
      counted,
    );
    if (found.length === 0) return;
    throw new BkpError('PRECONDITION', 'rows would refer to rows that do not exist; nothing was changed', {
      details: found.map(({child, parent, at, number}) =>
        at === null
          ? `of ${child} to ${parent}: ${formatCount(Number(number), 'row')}`
          : `of ${child} to ${parent}: the row with rowid ${at}`,
      ),
      next: 'restore the tables that they refer to in the same statement, or restore under another name',
    });
  }

  #note(into: string): void {
    const connection = this.#connection;
    connection.exec(`DROP TABLE IF EXISTS ${into}; CREATE TABLE ${into} (child, at, parent, key)`);
    for (const table of this.#tables) {
      try {
        connection.run(
          `INSERT INTO ${into} SELECT "table", rowid, parent, fkid FROM pragma_foreign_key_check(?, 'main')`,
          table,
        );
      } catch (error) {
        // A foreign key to columns that are not unique: SQLite checks none of that table, in no connection.
        if (resultCode(error) !== ResultCode.error) throw error;
      }
    }
  }
}
