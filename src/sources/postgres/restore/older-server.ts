import {BkpError} from '../../../errors/index.ts';
import type {DatabaseFacts} from '../../source.ts';
import {type Connection, majorOf} from '../connection/connection.ts';
import {sqlStateOf} from '../connection/errors.ts';

/** SQLSTATEs of what a server does not know: syntax, features, parameters, functions, types. */
const unknown = new Set(['42601', '0A000', '22023', '42704', '42883']);

/** The major versions of a backup and of the server, if the server is older: it may not know all of the schema. */
export function olderServer(
  {facts}: Connection,
  {version}: DatabaseFacts,
): {backup: number; server: number} | undefined {
  const majors = {backup: majorOf(Number(version ?? 0)), server: majorOf(facts.version)};
  return majors.server < majors.backup ? majors : undefined;
}

export const olderNotice = ({backup, server}: {backup: number; server: number}) =>
  `the backup is of PostgreSQL ${backup} and the server is ${server}: it may not know all that the schema uses`;

/** What a server refuses, with the reason that it may be too old for it. */
export function refusedByOlder(error: unknown, {backup, server}: {backup: number; server: number}): unknown {
  if (!(error instanceof BkpError) || !unknown.has(sqlStateOf(error) ?? '')) return error;
  const {code, message, cause, context, details} = error;
  return new BkpError(code, message, {
    cause: `the server is PostgreSQL ${server}, the backup is of ${backup}; ${String(cause)}`,
    next: `restore into PostgreSQL ${backup} or newer, or only tables that do not need it: RESTORE … TABLE …`,
    ...{context, details},
  });
}
