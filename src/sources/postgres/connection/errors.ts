import {BkpError, systemCode} from '../../../errors/index.ts';

/** What a server reports. Source: https://www.postgresql.org/docs/18/protocol-error-fields.html */
type ServerFault = Error & {
  code?: string;
  severity?: string;
  detail?: string;
  hint?: string;
  where?: string;
  table?: string;
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

/**
 * An error of a server or of its connection, as users read it.
 * @param place the database, for the message: `shop at db.internal:5432`
 * @param psql the arguments with which psql shows the same
 */
export function translated(error: unknown, {place, psql}: {place: string; psql: string}): BkpError {
  if (error instanceof BkpError) return error;
  const fault = error as ServerFault;
  const state = sqlState(error);
  const options = {cause: [fault.message, fault.detail].filter(Boolean).join('; ')};
  const next = `psql ${psql} -c 'select 1' shows the same`;
  if (state === undefined) {
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
    case '42501':
      return new BkpError('PRECONDITION', `the role lacks a right on ${place}: ${fault.message}`, {
        cause: fault.detail,
        next: 'grant the rights that docs/postgresql.md lists; for tables of another role, also membership in it',
      });
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
  return new BkpError('SOURCE_UNAVAILABLE', `database ${place}${reported}${fault.message}`, {
    cause: [fault.detail, fault.where, `SQLSTATE ${state}`].filter(Boolean).join('; '),
    next: fault.hint ?? next,
    context: {sqlState: state},
  });
}
