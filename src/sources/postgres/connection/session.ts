import type {Connection} from './connection.ts';

/** What ends a session or a statement that takes long. */
const endless = (version: number) => ({
  statement_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  ...(version >= 170_000 ? {transaction_timeout: '0'} : {}),
});

/**
 * For statements outside of transactions. Functions of the catalog wait for locks too: pg_table_size,
 * pg_partition_tree, pg_get_triggerdef. The search path begins with the catalog: one of the role or of the database
 * could have functions and operators of the same names first, which would run as bkp's role.
 * @param options.searchPath as the server shows it
 */
export function sessionSettings(options: {version: number; lockTimeoutSeconds: number; searchPath: string}): string {
  const {version, lockTimeoutSeconds, searchPath} = options;
  return setText('SET', {
    ...endless(version),
    idle_session_timeout: '0',
    lock_timeout: `'${lockTimeoutSeconds}s'`,
    search_path: ['pg_catalog', ...schemasOf(searchPath)].join(', '),
  });
}

/** A path that was set to '' has one schema without a name, which SET does not take. */
const schemasOf = (searchPath: string) =>
  (searchPath.match(/"(?:[^"]|"")*"|[^\s,"]+/g) ?? []).filter((schema) => schema !== '""');

/**
 * Sets everything on which the meaning or the text of a value depends, for one transaction: settings of a role, of a
 * database or of a pooler can change each of them. Of what can be set: what changes the text that COPY writes, what
 * ends a long transaction, what hides rows or counts them, and what names mean.
 */
export async function fixSettings(
  connection: Connection,
  {lockTimeoutSeconds, statementTimeoutSeconds = 0}: {lockTimeoutSeconds: number; statementTimeoutSeconds?: number},
): Promise<void> {
  const {version, encoding} = connection.facts;
  const settings: Readonly<Record<string, string>> = {
    search_path: "''",
    ...endless(version),
    statement_timeout: `'${statementTimeoutSeconds}s'`,
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
    // Rows are read by an index, which may be damaged and lack some: it must not be what counts them too.
    enable_indexonlyscan: 'off',
    jit: 'off',
    standard_conforming_strings: 'on',
    // Every other encoding is converted to UTF-8 and back without a loss. SQL_ASCII means that nothing is known.
    client_encoding: encoding === 'SQL_ASCII' ? 'SQL_ASCII' : 'UTF8',
  };
  await connection.run(setText('SET LOCAL', settings));
}

const setText = (set: 'SET' | 'SET LOCAL', settings: Readonly<Record<string, string>>) =>
  Object.entries(settings)
    .map(([name, value]) => `${set} ${name} = ${value};`)
    .join(' ');
