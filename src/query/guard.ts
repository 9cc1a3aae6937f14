import {constants, type DatabaseSync} from 'node:sqlite';

/** What a statement accesses, as recorded by the database's authorizer. */
export type Accesses = {
  /** Tables that it reads and functions that it calls; in lower case. */
  tables: Set<string>;
  functions: Set<string>;
  /** The first access that was refused, as a noun phrase. */
  refused?: string;
  /** The first table of a backup of which a `rowid` was refused, in the backup's own spelling. */
  rowidOf?: string;
};

const {SQLITE_OK, SQLITE_DENY, SQLITE_SELECT, SQLITE_READ, SQLITE_FUNCTION, SQLITE_RECURSIVE, SQLITE_PRAGMA} =
  constants;

export const moreThanSelect = 'a statement that is more than a SELECT';

/** This database never grants the rights that these need; refusing them gives a clearer message. */
const forbiddenFunctions = new Set(['load_extension', 'fts3_tokenizer']);

/** The table-valued functions of these read the database and change nothing. */
const harmlessPragmas = new Set(['foreign_key_check', 'foreign_key_list', 'table_info', 'table_xinfo', 'index_list']);

/**
 * From now on the database compiles only SELECTs on these tables. Everything not known to be harmless is refused:
 * PRAGMA, ATTACH, SQLite's own tables, and what later versions of SQLite add.
 * @param tables undefined: all tables of the database, some pragmas' functions, and WITH RECURSIVE, which the caller
 *   must be able to end
 * @param accesses collects further accesses when the database is guarded again
 * @param withoutRowids tables of which nobody may read the `rowid`, in lower case, with their names in messages
 *
 * Source: https://www.sqlite.org/c3ref/c_alter_table.html for what each code is given.
 */
export function guard(
  database: DatabaseSync,
  tables: ReadonlySet<string> | undefined,
  accesses: Accesses = {tables: new Set(), functions: new Set()},
  withoutRowids: ReadonlyMap<string, string> = new Map(),
): Accesses {
  const refuse = (what: string) => {
    accesses.refused ??= what;
    return SQLITE_DENY;
  };
  database.setAuthorizer((action, first, second) => {
    switch (action) {
      case SQLITE_SELECT:
        return SQLITE_OK;
      case SQLITE_READ: {
        const table = (first ?? '').toLowerCase();
        if (tables !== undefined && !tables.has(table)) return refuse(`the table ${first}`);
        accesses.tables.add(table);
        // SQLite calls a rowid so that is not a column of the table, whichever of its names the statement uses.
        if (second !== 'ROWID' || !withoutRowids.has(table)) return SQLITE_OK;
        accesses.rowidOf ??= withoutRowids.get(table)!;
        return SQLITE_DENY;
      }
      case SQLITE_FUNCTION: {
        const name = (second ?? '').toLowerCase();
        if (forbiddenFunctions.has(name)) return refuse(`the function ${name}()`);
        accesses.functions.add(name);
        return SQLITE_OK;
      }
      // It may run forever within one step, which no timeout can interrupt.
      case SQLITE_RECURSIVE:
        return tables === undefined ? SQLITE_OK : refuse('WITH RECURSIVE');
      case SQLITE_PRAGMA:
        return tables === undefined && harmlessPragmas.has((first ?? '').toLowerCase())
          ? SQLITE_OK
          : refuse(moreThanSelect);
      default:
        return refuse(moreThanSelect);
    }
  });
  return accesses;
}
