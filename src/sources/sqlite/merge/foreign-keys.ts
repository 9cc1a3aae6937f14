import {BkpError} from '../../../errors/index.ts';
import {formatCount} from '../../../lib/figures.ts';
import {tableNames} from '../catalog/catalog.ts';
import type {Connection, Row} from '../engine/connection.ts';
import {ResultCode, resultCode} from '../engine/errors.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import {foldName} from '../engine/quote.ts';
import type {MergedPair} from './pair.ts';

const before = `temp.${ownPrefix}dangling`;
const mostNamed = 10;

const sameForeignKey = 'b.child = a.child COLLATE NOCASE AND b.parent = a.parent COLLATE NOCASE AND b.key IS a.key';

/** Tables that have a foreign key, or are one of the named tables' children. */
const related = `SELECT t.name AS child, f."table" AS parent FROM pragma_table_list AS t,
    pragma_foreign_key_list(t.name, 'main') AS f
  WHERE t.schema = 'main' AND t.type = 'table' AND
    (t.name COLLATE NOCASE IN (SELECT value FROM json_each(?1))
      OR f."table" COLLATE NOCASE IN (SELECT value FROM json_each(?1)))`;

function textOf({child, parent, at, number}: Row): string {
  const which = at === null ? formatCount(Number(number ?? 1), 'row') : `the row with rowid ${at}`;
  return `of ${child} to ${parent}: ${which}`;
}

/** The named tables, and those that they refer to or that refer to them. */
export function tablesWithRelatives(connection: Connection, names: readonly string[]): readonly string[] {
  const rows = connection.all(related, JSON.stringify(names));
  const folded = new Set([...names, ...rows.flatMap((row) => [String(row.child), String(row.parent)])].map(foldName));
  return tableNames(connection).filter((name) => folded.has(foldName(name)));
}

/**
 * Foreign keys that lead nowhere, before and after. SQLite checks them only in connections that ask for it, so a
 * database may have such rows already: those are not the restore's, and do not prevent it.
 */
export class ForeignKeys {
  readonly #connection: Connection;
  readonly #merged: string;
  /** Tables whose rows may get another rowid, or other foreign keys: how many of their rows dangle is compared. */
  readonly #counted: string;
  /** Tables whose foreign keys may be others. */
  readonly #swapped: string;
  /** Tables that SQLite cannot check, because a foreign key leads to columns that are not unique. */
  readonly #unchecked: ReadonlySet<string>;

  constructor(connection: Connection, merged: readonly MergedPair[]) {
    this.#connection = connection;
    this.#merged = JSON.stringify(merged.map(({table}) => table.name));
    const isCounted = ({table: {key}, how}: MergedPair) =>
      how.kind === 'swap' || key.kind !== 'rowid' || key.column === undefined;
    const swapped = merged.filter(({how}) => how.kind === 'swap');
    this.#swapped = JSON.stringify(swapped.map(({table}) => table.name));
    this.#counted = JSON.stringify(merged.filter(isCounted).map(({table}) => table.name));
    this.#unchecked = this.#note(before);
  }

  /**
   * @param notice receives foreign keys that SQLite can no longer check
   * @throws BkpError `PRECONDITION` naming rows that refer to a row that does not exist, and did not before
   */
  requireNoNew(notice: (text: string) => void): void {
    const after = `temp.${ownPrefix}dangling_after`;
    for (const table of this.#note(after)) {
      if (this.#unchecked.has(table)) continue;
      notice(
        `a foreign key of ${table} leads to columns that are not unique any more: with foreign keys switched on, ` +
          `SQLite refuses to write to ${table}`,
      );
    }
    const found = this.#connection.all(
      `SELECT DISTINCT a.child, a.parent, a.at, NULL AS number FROM ${after} AS a
       WHERE a.child NOT IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (
         SELECT 1 FROM ${before} AS b WHERE ${sameForeignKey} AND b.at IS a.at)
       UNION ALL
       SELECT a.child, a.parent, NULL,
         count(*) - (SELECT count(*) FROM ${before} AS b WHERE ${sameForeignKey}) AS number
       FROM ${after} AS a WHERE a.child IN (SELECT value FROM json_each(?1))
       GROUP BY a.child, a.parent, a.key HAVING number > 0
       LIMIT ${mostNamed}`,
      this.#counted,
    );
    if (found.length === 0) return;
    const missing = this.#missingParents(found.map(({parent}) => String(parent)));
    throw new BkpError('PRECONDITION', 'rows would refer to rows that do not exist; nothing was changed', {
      // One row can refer to a table twice.
      details: [...new Set(found.map(textOf))],
      next:
        missing.length > 0
          ? `restore ${missing.join(', ')} first, without MODE, which creates what does not exist`
          : 'restore the tables that they refer to in the same statement, or restore under another name',
    });
  }

  #missingParents(parents: readonly string[]): readonly string[] {
    const existing = new Set(tableNames(this.#connection).map(foldName));
    return [...new Set(parents)].filter((parent) => !existing.has(foldName(parent)));
  }

  #note(into: string): ReadonlySet<string> {
    const connection = this.#connection;
    const unchecked = new Set<string>();
    const key = 'iif("table" COLLATE NOCASE IN (SELECT value FROM json_each(?2)), NULL, fkid)';
    connection.exec(`DROP TABLE IF EXISTS ${into}; CREATE TABLE ${into} (child, at, parent, key)`);
    const children = new Set(connection.all(related, this.#merged).map(({child}) => String(child)));
    for (const table of children) {
      try {
        connection.run(
          `INSERT INTO ${into} SELECT "table", rowid, parent, ${key} FROM pragma_foreign_key_check(?1, 'main')`,
          table,
          this.#swapped,
        );
      } catch (error) {
        // A foreign key to columns that are not unique: SQLite checks none of that table, in no connection.
        if (resultCode(error) !== ResultCode.error) throw error;
        unchecked.add(table);
      }
    }
    return unchecked;
  }
}
