import {constants, type DatabaseSync} from 'node:sqlite';

/** What a statement has asked of the database, as its authorizer heard it. */
export type Heard = {
  /** Tables and functions that it reads and calls; in lower case. */
  tables: Set<string>;
  functions: Set<string>;
  /** What it was refused, in words. */
  refused?: string;
};

const {SQLITE_OK, SQLITE_DENY, SQLITE_SELECT, SQLITE_READ, SQLITE_FUNCTION, SQLITE_RECURSIVE} = constants;

export const moreThanSelect = 'a statement that is more than a SELECT';

/** Neither does anything without rights that this database never has; a refusal says it more plainly. */
const forbiddenFunctions = new Set(['load_extension', 'fts3_tokenizer']);

/**
 * From now on the database compiles SELECTs on these tables, and nothing else: whatever is not known to be harmless
 * (PRAGMA, ATTACH, a table of SQLite's own, whatever a later SQLite adds) is refused.
 * @param heard goes on to be filled when the database is guarded again
 * Source: https://www.sqlite.org/c3ref/c_alter_table.html for what each code is given.
 */
export function guard(
  database: DatabaseSync,
  tables: ReadonlySet<string>,
  heard: Heard = {tables: new Set(), functions: new Set()},
): Heard {
  const refuse = (what: string) => {
    heard.refused ??= what;
    return SQLITE_DENY;
  };
  database.setAuthorizer((action, first, second) => {
    switch (action) {
      case SQLITE_SELECT:
        return SQLITE_OK;
      case SQLITE_READ: {
        const table = (first ?? '').toLowerCase();
        if (!tables.has(table)) return refuse(`the table ${first}`);
        heard.tables.add(table);
        return SQLITE_OK;
      }
      case SQLITE_FUNCTION: {
        const name = (second ?? '').toLowerCase();
        if (forbiddenFunctions.has(name)) return refuse(`the function ${name}()`);
        heard.functions.add(name);
        return SQLITE_OK;
      }
      // It may go on for ever within one step, where no clock stops it.
      case SQLITE_RECURSIVE:
        return refuse('WITH RECURSIVE');
      default:
        return refuse(moreThanSelect);
    }
  });
  return heard;
}
