import {BkpError} from '../../../errors/index.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords, sqlStateOf} from '../connection/errors.ts';
import {quoteIdent} from '../connection/quote.ts';

/** Those that fire now: https://www.postgresql.org/docs/18/catalog-pg-event-trigger.html */
const firing = "evtenabled IN ('O', 'A') AND evtevent <> 'login'";

/**
 * The same error, if an event trigger of the database raised it, with the name of that one.
 * @param connection not in a transaction that has failed
 */
export async function withEventTrigger(connection: Connection, error: unknown): Promise<unknown> {
  if (!(error instanceof BkpError) || sqlStateOf(error) === undefined || error.context.eventTrigger) return error;
  const {cause} = error;
  if (typeof cause !== 'string' || !cause.includes('function ')) return error;
  const rows = await connection.rows(
    `SELECT evtname, evtenabled, quote_ident(n.nspname), quote_ident(p.proname)
      FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE ${firing} ORDER BY evtname`,
  );
  const found = rows.find(([, , schema, name]) =>
    [`function ${schema}.${name}()`, `function ${name}()`].some((called) => cause.includes(called)),
  );
  if (found === undefined) return error;
  const trigger = quoteIdent(found[0]!);
  const enable = `ALTER EVENT TRIGGER ${trigger} ENABLE${found[1] === 'A' ? ' ALWAYS' : ''};`;
  const {place} = connection.facts;
  return new BkpError('PRECONDITION', `the event trigger ${trigger} of ${place} refuses: ${serverWords(error)}`, {
    cause: `it fires for statements that bkp needs; ${cause}`,
    next: `ALTER EVENT TRIGGER ${trigger} DISABLE; then give the statement again, and ${enable} when it has ended`,
    context: {...error.context, eventTrigger: found[0]!},
  });
}

/**
 * Tries what every restore does, and rolls it back: an event trigger that refuses to drop a table would otherwise be
 * met when everything is loaded, and keep the restore from removing what it made.
 * @param schema that does not exist
 * @throws BkpError `PRECONDITION` naming the trigger
 */
export async function requireNoRefusal(connection: Connection, schema: string): Promise<void> {
  const count = await connection.value(`SELECT count(*) FROM pg_event_trigger WHERE ${firing}`);
  if (count === '0') return;
  const table = `${schema}._bkp_tried`;
  await connection.run('BEGIN');
  try {
    await connection.run(
      `SET LOCAL client_min_messages = error; CREATE SCHEMA ${schema}; CREATE TABLE ${table} (id int);
        ALTER TABLE ${table} ALTER id SET NOT NULL; DROP TABLE ${table}; DROP SCHEMA ${schema}`,
    );
  } catch (error) {
    await connection.run('ROLLBACK');
    throw await withEventTrigger(connection, error);
  }
  await connection.run('ROLLBACK');
}
