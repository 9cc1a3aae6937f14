import {constants} from 'node:sqlite';
import type {Authorizer, Connection} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {namesTable, triggerEvent} from '../engine/sql-text.ts';
import type {NamedSql} from './table.ts';

/**
 * What a trigger or a view uses, as SQLite itself resolves it: the statement that would fire or read it is
 * compiled and never runs. A function that only the application has gets a placeholder, because its result does
 * not matter here.
 */
export type Reach = {
  /** Tables and views that the trigger itself or the view itself names, folded. */
  used: ReadonlySet<string>;
  /** Those of them whose rows it inserts, updates or deletes. */
  written: ReadonlySet<string>;
  /**
   * A missing table that it names, in SQLite's words; absent when all exist, or when something else cannot be compiled:
   * another trigger on the way, a function or module that only the application has.
   */
  missing?: string;
  /** SQLite's message if it cannot be compiled, whatever the reason. */
  fault?: string;
};

/** A limit that no valid schema reaches; nested views can double the steps at each level. */
const mostSteps = 200_000;
/** At most this many functions of the application get a placeholder, one by one. */
const mostFunctions = 200;

export function reachOfView(connection: Connection, view: NamedSql): Reach {
  return compile(connection, `SELECT * FROM main.${quoteName(view.name)}`, view);
}

/** @param table a table, or a view with INSTEAD OF triggers */
export function reachOfTrigger(connection: Connection, table: string, trigger: NamedSql): Reach {
  const on = `main.${quoteName(table)}`;
  switch (triggerEvent(trigger.sql)) {
    case 'insert':
      return compile(connection, `INSERT INTO ${on} DEFAULT VALUES`, trigger);
    case 'delete':
      return compile(connection, `DELETE FROM ${on}`, trigger);
    case 'update': {
      const columns = connection
        .all(`SELECT name FROM pragma_table_xinfo(?, 'main') WHERE hidden = 0`, table)
        .map((row) => quoteName(String(row.name)));
      const settings = columns.map((column) => `${column} = ${column}`).join(', ');
      return compile(connection, `UPDATE ${on} SET ${settings}`, trigger);
    }
  }
}

function compile(connection: Connection, sql: string, object: NamedSql): Reach {
  const used = new Set<string>();
  const written = new Set<string>();
  let steps = 0;
  const note: Authorizer = (action, first, _second, schema, inside) => {
    if (++steps > mostSteps) return constants.SQLITE_DENY;
    const writes =
      action === constants.SQLITE_INSERT || action === constants.SQLITE_UPDATE || action === constants.SQLITE_DELETE;
    const touches = writes || action === constants.SQLITE_READ;
    // A table of which no column is read is reported without the view that names it.
    const own = inside === object.name || inside === null;
    if (touches && first !== null && schema === 'main' && own) used.add(foldName(first));
    // The statement that fires it writes too, outside of it.
    if (writes && first !== null && inside === object.name) written.add(foldName(first));
    return constants.SQLITE_OK;
  };
  for (let functions = 0; ; functions++) {
    try {
      connection.prepareAuthorized(sql, note);
      return {used, written};
    } catch (error) {
      const {message} = error as Error;
      const unknown = /^no such function: (.+)$/.exec(message)?.[1];
      if (unknown !== undefined && functions < mostFunctions) {
        connection.standIn(unknown);
        continue;
      }
      const missing = /^no such table: (?:main\.)?(.+)$/.exec(message)?.[1];
      const fault = message;
      return missing === undefined || !namesTable(object.sql, missing)
        ? {used, written, fault}
        : {used, written, missing, fault};
    }
  }
}
