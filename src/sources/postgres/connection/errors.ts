import {BkpError, type ErrorCode, systemCode} from '../../../errors/index.ts';
import {qualified} from './quote.ts';
import {isTlsFault, tlsStep} from './tls.ts';

/** What a server reports. Source: https://www.postgresql.org/docs/18/protocol-error-fields.html */
type ServerFault = Error & {
  code?: string;
  severity?: string;
  detail?: string;
  hint?: string;
  where?: string;
  table?: string;
  schema?: string;
  dataType?: string;
  constraint?: string;
  position?: string;
};

/** Codes of connections that broke: the work can be repeated. */
const broken = new Set([
  '57P01',
  '57P02',
  '57P03',
  '57P05',
  '25P03',
  '25P04',
  '08000',
  '08003',
  '08006',
  '08001',
  '08004',
]);
const systemFaults = new Set([
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ECONNREFUSED',
  'ENOENT',
  'ENOTFOUND',
  'EHOSTUNREACH',
]);

/** Of a statement in a message. */
const longestStatement = 160;

const reported = ' reported an error: ';

/** The server's own words, without whose they are. @param error as {@link translated} makes it, or another one */
export function serverWords({message}: Error): string {
  const at = message.indexOf(reported);
  return at === -1 ? message : message.slice(at + reported.length);
}

/** SQLSTATE of an error that a server reported; undefined for another error. */
export function sqlState(error: unknown): string | undefined {
  const {code, severity} = (error ?? {}) as ServerFault;
  return severity !== undefined && typeof code === 'string' ? code : undefined;
}

/** SQLSTATE of an error that {@link translated} made; undefined for another one. */
export function sqlStateOf(error: unknown): string | undefined {
  const state = error instanceof BkpError ? error.context.sqlState : undefined;
  return typeof state === 'string' ? state : undefined;
}

/**
 * An error of a server or of its connection, as users read it.
 * @param place the database, for the message: `shop at db.internal:5432`
 * @param psql the arguments with which psql opens it
 * @param sql what was sent; absent while the connection is made
 */
export function translated(error: unknown, {place, psql}: {place: string; psql: string}, sql?: string): BkpError {
  if (error instanceof BkpError) return error;
  const fault = error as ServerFault;
  const state = sqlState(error);
  const cause = [fault.message, fault.detail].filter(Boolean).join('; ');
  const options = {cause, context: {sqlState: state}};
  const next = `psql ${psql} -c 'select 1' shows the same`;
  if (state === undefined) {
    if (isTlsFault(error)) {
      return new BkpError('PRECONDITION', `cannot establish a TLS connection to database ${place}`, {
        ...options,
        next: tlsStep(error),
      });
    }
    const isSystem =
      systemFaults.has(systemCode(error) ?? '') || /Connection terminated|timeout|SSL/iu.test(fault.message);
    if (!isSystem) return new BkpError('INTERNAL', fault.message, {cause: error});
    return new BkpError('SOURCE_UNAVAILABLE', `database ${place} does not answer`, {...options, next, retryable: true});
  }
  switch (state) {
    case '28P01':
      return new BkpError('PRECONDITION', `database ${place} refused the password`, {
        ...options,
        next: 'bkp config set source.password -, or PGPASSWORD, or a line in ~/.pgpass',
      });
    case '28000':
      return new BkpError('PRECONDITION', `database ${place} refused the connection`, {...options, next});
    case '3D000':
      return new BkpError('SOURCE_UNAVAILABLE', `there is no database ${place}`, {
        ...options,
        next: `psql ${psql.replace(/dbname=('[^']*'|\S+)/u, 'dbname=postgres')} -l lists the server's databases`,
      });
    case '42501': {
      const hidden = /row-level security policy for table ("(?:[^"]|"")*")/u.exec(fault.message)?.[1];
      if (hidden !== undefined) return hidesRows(hidden, place, state);
      return new BkpError('PRECONDITION', `the role lacks a right on ${place}: ${fault.message}`, {
        cause: fault.detail,
        context: {sqlState: state},
        next: 'grant the rights that docs/postgresql.md lists; for tables of another role, also membership in it',
      });
    }
    case '55P03':
      return new BkpError('SOURCE_LOCKED', `a lock in ${place} was not free in time`, {
        ...options,
        next: 'give the statement again when the other transaction has ended',
        retryable: true,
      });
    case '22021':
    case '22P05':
      return new BkpError('UNSUPPORTED', `the backup has text that the encoding of ${place} cannot hold`, {
        cause: [fault.message, fault.where].filter(Boolean).join('; '),
        context: {sqlState: state},
        next: 'restore it into a database with the encoding of its source: createdb -T template0 -E …',
      });
    case '40001':
      return new BkpError('SOURCE_UNAVAILABLE', `the standby ${place} cancelled the reading`, {
        ...options,
        next: 'set hot_standby_feedback = on there, or back up the primary',
        retryable: true,
      });
    case '57014':
      return new BkpError('SOURCE_UNAVAILABLE', `the server of ${place} cancelled a statement`, {
        ...options,
        next: 'give the statement again; if a timeout did it, after ALTER ROLE … SET statement_timeout = 0',
        retryable: true,
      });
    case '53100':
      return new BkpError('SOURCE_FULL', `the disk of the server of ${place} is full`, {
        ...options,
        next: 'free space on the server, then give the statement again',
      });
    case '53300':
      return new BkpError('SOURCE_UNAVAILABLE', `the server of ${place} has no connection left`, {
        ...options,
        next: 'raise max_connections there, or end a session that nobody needs; a backup takes two',
        retryable: true,
      });
    default:
      break;
  }
  if (broken.has(state)) {
    return new BkpError('SOURCE_UNAVAILABLE', `the connection to ${place} broke`, {...options, next, retryable: true});
  }
  const atConnect: Refusal = {code: 'SOURCE_UNAVAILABLE', next};
  const refusal = sql === undefined ? atConnect : refusalOf(state, psql);
  // The search path of bkp has no schema, and a restore gives its tables their names at the end.
  const isOfFunction = unknownName.has(state) && /\bfunction\b/iu.test(fault.where ?? '');
  const {code, next: step, retryable} = isOfFunction ? {...refusal, next: whatFunctionReads} : refusal;
  return new BkpError(code, `database ${place}${reported}${fault.message}`, {
    cause: [fault.detail, fault.where, `SQLSTATE ${state}`, sql && `in: ${shortened(sql, fault.position)}`]
      .filter(Boolean)
      .join('; '),
    next: fault.hint ?? step,
    context: {sqlState: state, ...domainOf(fault)},
    ...(retryable ? {retryable} : {}),
  });
}

/** @param tables as the message names them */
export function hidesRows(tables: string, place: string, sqlState?: string): BkpError {
  return new BkpError('PRECONDITION', `row-level security would hide rows of ${tables} in ${place} from the role`, {
    cause: 'what bkp does not see would look as if it did not exist',
    context: {sqlState},
    next:
      'ALTER ROLE … BYPASSRLS for the role of bkp; or, if it owns the table, ' +
      'ALTER TABLE … NO FORCE ROW LEVEL SECURITY until the statement has ended',
  });
}

/** The domain that refused a value, and its constraint that did; a NOT NULL has no name. */
function domainOf({schema, dataType, constraint}: ServerFault): Record<string, string | undefined> {
  return schema === undefined || dataType === undefined ? {} : {domain: qualified(schema, dataType), constraint};
}

/** No such table, column, function or type. */
const unknownName = new Set(['42P01', '42703', '42883', '42704']);
const whatFunctionReads =
  'the function that the cause names needs this name with its schema, and in a restore the table itself: restore ' +
  'what it reads first (RESTORE … TABLE …), then the others';

type Refusal = {code: ErrorCode; next: string; retryable?: boolean};

/**
 * What an error means that a server answered: it is there, so it is not unavailable. Codes of two characters are
 * classes. Source: https://www.postgresql.org/docs/18/errcodes-appendix.html
 */
function refusalOf(state: string, psql: string): Refusal {
  const inPsql = (statement: string) => `psql ${psql} -c '${statement}'`;
  const shown = (setting: string) => inPsql(`SELECT current_setting($$${setting}$$)`);
  const refusals: Readonly<Record<string, Refusal>> = {
    '40P01': {
      code: 'SOURCE_LOCKED',
      next: 'give the statement again: another transaction waited for a lock of bkp, and bkp for one of that',
      retryable: true,
    },
    '25006': {
      code: 'PRECONDITION',
      next: `let the database accept writes; ${shown('default_transaction_read_only')} shows whether it does`,
    },
    '0A000': {code: 'UNSUPPORTED', next: `${inPsql('SELECT version()')} shows the version of the server`},
    '23': {code: 'SOURCE_REFUSED', next: 'change the rows that the cause names, then give the statement again'},
    '42': {
      code: 'SOURCE_REFUSED',
      next: `give the statement again if the schema changed meanwhile; ${inPsql('\\d *.*')} lists what is there`,
    },
    // Memory and other limits of the server.
    '53': {
      code: 'SOURCE_UNAVAILABLE',
      next: 'give the statement again when the server has more of it',
      retryable: true,
    },
    // Errors of its machine, such as those of a disk.
    '58': {
      code: 'SOURCE_UNAVAILABLE',
      next: `look into the log of the server: ${shown('log_directory')}`,
    },
    XX001: {code: 'SOURCE_DAMAGED', next: 'pg_amcheck finds what is damaged; a restore brings it back'},
    XX002: {code: 'SOURCE_DAMAGED', next: 'REINDEX the index that the message names; pg_amcheck finds others'},
  };
  return (
    refusals[state] ??
    refusals[state.slice(0, 2)] ?? {
      code: 'SOURCE_REFUSED',
      next: `look into the log of the server, which has the whole statement: ${shown('log_directory')}`,
    }
  );
}

/** Of several statements the one at the position, on one line. @param position of a character, from 1 on */
function shortened(sql: string, position = '1'): string {
  const at = Number(position) - 1;
  const end = sql.indexOf(';', at);
  const one = sql.slice(sql.lastIndexOf(';', at - 1) + 1, end === -1 ? undefined : end);
  const line = one.replaceAll(/\s+/gu, ' ').trim();
  return line.length > longestStatement ? `${line.slice(0, longestStatement)}…` : line;
}
