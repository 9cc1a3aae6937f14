import type {Connection} from './connection.ts';

/**
 * Sets everything on which the meaning or the text of a value depends, for one transaction: settings of a role, of a
 * database or of a pooler can change each of them. Of what can be set: what changes the text that COPY writes, what
 * ends a long transaction, what hides rows, and what names mean.
 */
export async function fixSettings(
  connection: Connection,
  {lockTimeoutSeconds}: {lockTimeoutSeconds: number},
): Promise<void> {
  const {version, encoding} = connection.facts;
  const settings: Readonly<Record<string, string>> = {
    search_path: "''",
    statement_timeout: '0',
    idle_in_transaction_session_timeout: '0',
    ...(version >= 170_000 ? {transaction_timeout: '0'} : {}),
    lock_timeout: `'${lockTimeoutSeconds}s'`,
    row_security: 'off',
    DateStyle: "'ISO'",
    IntervalStyle: "'postgres'",
    TimeZone: "'UTC'",
    extra_float_digits: '1',
    bytea_output: "'hex'",
    xmloption: "'content'",
    lc_monetary: "'C'",
    synchronize_seqscans: 'off',
    jit: 'off',
    standard_conforming_strings: 'on',
    // Every other encoding is converted to UTF-8 and back without a loss. SQL_ASCII means that nothing is known.
    client_encoding: encoding === 'SQL_ASCII' ? 'SQL_ASCII' : 'UTF8',
  };
  const statements = Object.entries(settings).map(([name, value]) => `SET LOCAL ${name} = ${value};`);
  await connection.run(statements.join(' '));
}
