import {answerJobs} from '../../../lib/pool-thread.ts';
import {withConnection} from '../engine/connection.ts';
import {resultCode} from '../engine/errors.ts';
import {quoteName} from '../engine/quote.ts';
import type {TableChecked, TableToCheck} from './check-threads.ts';
import {findings} from './findings.ts';

// A thread of checkOnThreads: checks one table after the other.
answerJobs(check);

function check({path, table}: TableToCheck): TableChecked {
  try {
    return withConnection(path, {}, (connection) => {
      connection.exec('PRAGMA query_only = ON; PRAGMA ignore_check_constraints = ON');
      return {
        findings: findings(connection, `quick_check(${quoteName(table)})`),
        rows: connection.number(`SELECT count(*) FROM main.${quoteName(table)}`),
      };
    });
  } catch (error) {
    // The class and the cause of an error do not survive the way to another thread, but SQLite's code does.
    const {message, cause = error} = error as Error;
    return {failure: {message: cause instanceof Error ? cause.message : message, errcode: resultCode(cause)}};
  }
}
