/**
 * The exit statuses of bkp: a promise to scripts, listed in docs/operations.md and in every man page.
 */
export const ExitStatus = {
  done: 0,
  failed: 1,
  usage: 2,
  partial: 3,
  notFound: 10,
  locked: 11,
  refused: 12,
  damaged: 13,
  interrupted: 130,
} as const;
export type ExitStatus = (typeof ExitStatus)[keyof typeof ExitStatus];

/** Status words of the operation model, as YDB prints them. */
export type StatusWord =
  | 'SUCCESS'
  | 'GENERIC_ERROR'
  | 'BAD_REQUEST'
  | 'SCHEME_ERROR'
  | 'PRECONDITION_FAILED'
  | 'OVERLOADED'
  | 'NOT_FOUND'
  | 'ABORTED'
  | 'CANCELLED'
  | 'UNAVAILABLE'
  | 'UNSUPPORTED'
  | 'INTERNAL_ERROR';

type CodeFacts = {exit: ExitStatus; status: StatusWord};

/** Every error code of bkp with its status word and its exit status. */
export const errorCodes = {
  /** Wrong arguments, options or configuration values. */
  USAGE: {exit: ExitStatus.usage, status: 'BAD_REQUEST'},
  /** A statement that does not parse. */
  SYNTAX: {exit: ExitStatus.usage, status: 'GENERIC_ERROR'},
  /** A well-formed request that is not possible in the current state (no full backup yet, no members, …). */
  BAD_REQUEST: {exit: ExitStatus.refused, status: 'BAD_REQUEST'},
  COLLECTION_NOT_FOUND: {exit: ExitStatus.notFound, status: 'SCHEME_ERROR'},
  COLLECTION_EXISTS: {exit: ExitStatus.refused, status: 'SCHEME_ERROR'},
  BACKUP_NOT_FOUND: {exit: ExitStatus.notFound, status: 'NOT_FOUND'},
  TABLE_NOT_FOUND: {exit: ExitStatus.notFound, status: 'SCHEME_ERROR'},
  /** The target table of a restore exists already. */
  TABLE_EXISTS: {exit: ExitStatus.refused, status: 'SCHEME_ERROR'},
  BAD_NAME: {exit: ExitStatus.refused, status: 'SCHEME_ERROR'},
  OPERATION_NOT_FOUND: {exit: ExitStatus.notFound, status: 'NOT_FOUND'},
  /** Another operation on the same collection or instance is running. */
  BUSY: {exit: ExitStatus.locked, status: 'OVERLOADED'},
  PRECONDITION: {exit: ExitStatus.refused, status: 'PRECONDITION_FAILED'},
  UNSUPPORTED: {exit: ExitStatus.refused, status: 'UNSUPPORTED'},
  /** The chain cannot be continued: replaced database, changed schema, gap in the change log. */
  CHAIN_BROKEN: {exit: ExitStatus.refused, status: 'PRECONDITION_FAILED'},
  SOURCE_UNAVAILABLE: {exit: ExitStatus.failed, status: 'UNAVAILABLE'},
  /** The database's server answered with an error: it is there. */
  SOURCE_REFUSED: {exit: ExitStatus.failed, status: 'GENERIC_ERROR'},
  SOURCE_DAMAGED: {exit: ExitStatus.damaged, status: 'GENERIC_ERROR'},
  /** Another process keeps the database locked for longer than bkp waits. */
  SOURCE_LOCKED: {exit: ExitStatus.locked, status: 'UNAVAILABLE'},
  /** No space left on the disk of the source's database or of its temporary files. */
  SOURCE_FULL: {exit: ExitStatus.failed, status: 'UNAVAILABLE'},
  STORE_UNAVAILABLE: {exit: ExitStatus.failed, status: 'UNAVAILABLE'},
  STORE_FULL: {exit: ExitStatus.failed, status: 'UNAVAILABLE'},
  /** The store's server does not accept these credentials, or does not allow them to do this. */
  STORE_DENIED: {exit: ExitStatus.refused, status: 'PRECONDITION_FAILED'},
  /** The store contains another vault, a newer format, or something that is not a vault. */
  STORE_REFUSED: {exit: ExitStatus.refused, status: 'PRECONDITION_FAILED'},
  /** The vault is encrypted, and no secret is given. */
  SECRET_MISSING: {exit: ExitStatus.refused, status: 'PRECONDITION_FAILED'},
  /** The secret opens no slot of the vault. */
  SECRET_WRONG: {exit: ExitStatus.refused, status: 'PRECONDITION_FAILED'},
  /** AWS KMS, which opens a slot of the vault, does not answer. */
  KMS_UNAVAILABLE: {exit: ExitStatus.failed, status: 'UNAVAILABLE'},
  /** AWS KMS does not use the key for these credentials, or the key cannot be used. */
  KMS_DENIED: {exit: ExitStatus.refused, status: 'PRECONDITION_FAILED'},
  /** The store contains no vault (yet). */
  VAULT_ABSENT: {exit: ExitStatus.refused, status: 'PRECONDITION_FAILED'},
  VAULT_LOCKED: {exit: ExitStatus.locked, status: 'OVERLOADED'},
  OBJECT_MISSING: {exit: ExitStatus.damaged, status: 'GENERIC_ERROR'},
  OBJECT_DAMAGED: {exit: ExitStatus.damaged, status: 'GENERIC_ERROR'},
  /** A verification found damage. */
  DAMAGE_FOUND: {exit: ExitStatus.damaged, status: 'GENERIC_ERROR'},
  /** The configuration file cannot be read or written. */
  CONFIG_UNAVAILABLE: {exit: ExitStatus.failed, status: 'UNAVAILABLE'},
  /** A file that the user named for a result cannot be written. */
  FILE_UNAVAILABLE: {exit: ExitStatus.failed, status: 'UNAVAILABLE'},
  JOURNAL_UNAVAILABLE: {exit: ExitStatus.failed, status: 'UNAVAILABLE'},
  /** A newer bkp wrote the journal or the configuration. */
  NEWER_VERSION: {exit: ExitStatus.refused, status: 'PRECONDITION_FAILED'},
  /** An operation delivered a part of what was asked for, and named what is missing. */
  PARTIAL: {exit: ExitStatus.partial, status: 'GENERIC_ERROR'},
  WORKER_DEAD: {exit: ExitStatus.failed, status: 'ABORTED'},
  CANCELLED: {exit: ExitStatus.failed, status: 'CANCELLED'},
  TIMEOUT: {exit: ExitStatus.failed, status: 'UNAVAILABLE'},
  INTERRUPTED: {exit: ExitStatus.interrupted, status: 'ABORTED'},
  /** The operating system returned an error that no part of bkp handles. */
  SYSTEM: {exit: ExitStatus.failed, status: 'UNAVAILABLE'},
  /** An unexpected error: a bug in bkp. */
  INTERNAL: {exit: ExitStatus.failed, status: 'INTERNAL_ERROR'},
} as const satisfies Record<string, CodeFacts>;

export type ErrorCode = keyof typeof errorCodes;
