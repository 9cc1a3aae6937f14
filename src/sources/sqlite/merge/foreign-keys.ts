import {BkpError} from '../../../errors/index.ts';
import {formatCount} from '../../../lib/figures.ts';
import {tableNames} from '../catalog/catalog.ts';
import type {Connection} from '../engine/connection.ts';
import {ownPrefix} from '../engine/own-prefix.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {type Dangling, noteDangling, partNames} from './dangling.ts';
import type {MergedPair} from './pair.ts';

const mostNamed = 10;

/** Tables that have a foreign key, or are one of the named tables' children. */
const related = `SELECT t.name AS child, f."table" AS parent FROM pragma_table_list AS t,
    pragma_foreign_key_list(t.name, 'main') AS f
  WHERE t.schema = 'main' AND t.type = 'table' AND
    (t.name COLLATE NOCASE IN (SELECT value FROM json_each(?1))
      OR f."table" COLLATE NOCASE IN (SELECT value FROM json_each(?1)))`;

/** The named tables, and those that they refer to or that refer to them. */
export function tablesWithRelatives(connection: Connection, names: readonly string[]): readonly string[] {
  const rows = connection.all(related, JSON.stringify(names));
  const folded = new Set([...names, ...rows.flatMap((row) => [String(row.child), String(row.parent)])].map(foldName));
  return tableNames(connection).filter((name) => folded.has(foldName(name)));
}

/** A child; `dangling` is absent if SQLite cannot check its foreign keys. */
type Noted = {child: string; dangling: Dangling | undefined};

/**
 * Foreign keys that lead nowhere, before and after. SQLite checks them only in connections that ask for it, so a
 * database may have such rows already: those are not the restore's, and do not prevent it.
 */
export class ForeignKeys {
  readonly #connection: Connection;
  /** By their folded names. */
  readonly #merged: ReadonlyMap<string, MergedPair>;
  readonly #before: ReadonlyMap<string, Noted>;

  constructor(connection: Connection, merged: readonly MergedPair[]) {
    this.#connection = connection;
    this.#merged = new Map(merged.map((pair) => [foldName(pair.table.name), pair]));
    this.#before = this.#note('before');
  }

  /**
   * @param notice receives foreign keys that SQLite can no longer check
   * @throws BkpError `PRECONDITION` naming rows that refer to a row that does not exist, and did not before
   */
  requireNoNew(notice: (text: string) => void): void {
    const found: {parent: string; text: string}[] = [];
    for (const [name, {child, dangling}] of this.#note('after')) {
      const before = this.#before.get(name);
      if (dangling !== undefined) {
        found.push(...this.#newOf(child, dangling, before?.dangling));
      } else if (before === undefined || before.dangling !== undefined) {
        notice(
          `a foreign key of ${child} leads to columns that are not unique any more: with foreign keys switched on, ` +
            `SQLite refuses to write to ${child}`,
        );
      }
    }
    if (found.length === 0) return;
    const missing = this.#missingParents(found.map(({parent}) => parent));
    throw new BkpError('PRECONDITION', 'rows would refer to rows that do not exist; nothing was changed', {
      // One row can refer to a table twice.
      details: [...new Set(found.map(({text}) => text))].slice(0, mostNamed),
      next:
        missing.length > 0
          ? `restore ${missing.join(', ')} first, without MODE, which creates what does not exist`
          : 'restore the tables that they refer to in the same statement, or restore under another name',
    });
  }

  /**
   * Rows that lead nowhere and did not before, each by its identity if that is the same in both states. Rows without
   * one are counted: no more of them may lead nowhere.
   */
  #newOf(child: string, after: Dangling, before: Dangling | undefined): {parent: string; text: string}[] {
    const parts = before === undefined || isSameIdentity(after, before) ? after.parts : [];
    const names = partNames(parts);
    const columns = ['parent', 'key', ...names].join(', ');
    const collated = parts.map(({collation}, at) => `${names[at]} COLLATE ${quoteName(collation)}`);
    // A table that is replaced with its schema may have other foreign keys.
    const isSwapped = this.#merged.get(foldName(child))?.how.kind === 'swap';
    const groups = ['parent COLLATE NOCASE', ...(isSwapped ? [] : ['key']), ...collated];
    const shown = names.map((name) => `quote(${name}) AS shown_${name}`);
    const rows = this.#connection.all(
      `SELECT ${['parent', 'sum(n) AS number', ...shown].join(', ')} FROM (
         SELECT ${columns}, 1 AS n FROM ${after.noted}
         ${before === undefined ? '' : `UNION ALL SELECT ${columns}, -1 FROM ${before.noted}`})
       GROUP BY ${groups.join(', ')} HAVING sum(n) > 0 LIMIT ${mostNamed}`,
    );
    return rows.map((row) => {
      const number = Number(row.number);
      const identity = parts.map(({name}, at) => `${name} ${row[`shown_${names[at]}`]}`).join(', ');
      const which = identity === '' ? '' : ` with ${identity}`;
      const rows = which !== '' && number === 1 ? 'the row' : formatCount(number, 'row');
      const text = `of ${child} to ${row.parent}: ${rows}${which}`;
      return {parent: String(row.parent), text};
    });
  }

  #missingParents(parents: readonly string[]): readonly string[] {
    const existing = new Set(tableNames(this.#connection).map(foldName));
    return [...new Set(parents)].filter((parent) => !existing.has(foldName(parent)));
  }

  /** All children, by their folded names. */
  #note(moment: 'before' | 'after'): ReadonlyMap<string, Noted> {
    const connection = this.#connection;
    const merged = JSON.stringify([...this.#merged.keys()]);
    const children = new Set(connection.all(related, merged).map(({child}) => String(child)));
    return new Map(
      // In one order in each file: a dry run names what the merge does.
      [...children].sort().map((child, at) => {
        const into = `temp.${ownPrefix}dangling_${moment}_${at}`;
        const stays = !this.#merged.has(foldName(child));
        return [foldName(child), {child, dangling: noteDangling(connection, {child, into, stays})}];
      }),
    );
  }
}

function isSameIdentity(one: Dangling, other: Dangling): boolean {
  const texts = ({parts}: Dangling) =>
    parts.map(({name, collation}) => `${foldName(name)} COLLATE ${foldName(collation)}`).join(', ');
  return texts(one) === texts(other);
}
