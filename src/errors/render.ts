import {type ErrorCode, errorCodes} from './codes.ts';
import {BkpError} from './error.ts';

/** One error as data: what a journal row, a JSON line or another process can carry. */
export type PlainError = {
  code: string;
  status: string;
  message: string;
  /** The single faults when `message` only counts them. */
  details?: readonly string[];
  /** The chain of causes in words, outermost first; absent when there is none. */
  cause?: string;
  next?: string;
  /** Only for faults of ours (`INTERNAL`). */
  stack?: string;
};

const unforeseen = 'bkp met something it did not foresee: ';

/** @returns `error` as data; anything that is not a {@link BkpError} becomes code `INTERNAL` with its stack. */
export function asPlain(error: unknown): PlainError {
  if (error instanceof BkpError) {
    const cause = causeText(error.cause);
    return {
      code: error.code,
      status: error.status,
      message: error.message,
      ...(error.details.length === 0 ? {} : {details: error.details}),
      ...(cause === undefined ? {} : {cause}),
      ...(error.next === undefined ? {} : {next: error.next}),
    };
  }
  if (isRefusedBySystem(error)) return asPlain(refusedBySystem(error));
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? error.stack : undefined;
  return {
    code: 'INTERNAL',
    status: 'INTERNAL_ERROR',
    message: message.startsWith(unforeseen) ? message : `${unforeseen}${message}`,
    next: 'this is a fault of bkp; please report it with the lines below',
    ...(stack === undefined ? {} : {stack}),
  };
}

/** Disks, rights and limits of the machine: nothing that a report to bkp's authors could mend. */
const systemReasons: Readonly<Record<string, string>> = {
  ENOSPC: 'free some space there',
  EDQUOT: 'free some space there, or have the quota raised',
  EACCES: 'see whose it is, and which rights you have there',
  EPERM: 'see whose it is, and which rights you have there',
  EROFS: 'it is mounted for reading only',
  ENOTDIR: 'a file stands where a folder is needed',
  EISDIR: 'a folder stands where a file is needed',
  ELOOP: 'links point to each other there',
  ENAMETOOLONG: 'choose a shorter path',
  EMFILE: 'raise the limit of open files: ulimit -n',
  ENFILE: 'the machine has too many open files',
  ENOMEM: 'the machine has no memory left',
  EIO: 'look at the disk: the system could not read or write it',
};

type SystemError = Error & {code: string; syscall: string};

function isRefusedBySystem(error: unknown): error is SystemError {
  if (!(error instanceof Error)) return false;
  const {code, syscall} = error as Partial<SystemError>;
  return typeof syscall === 'string' && typeof code === 'string' && Object.hasOwn(systemReasons, code);
}

function refusedBySystem(error: SystemError): BkpError {
  return new BkpError('SYSTEM', `the system refuses: ${error.message}`, {next: systemReasons[error.code]!});
}

/** The error again that {@link asPlain} made data of, in another process or later; its cause is then words. */
export function fromPlain({code, message, details, cause, next, stack}: PlainError): Error {
  if (stack !== undefined || !(code in errorCodes))
    return Object.assign(new Error(message), stack === undefined ? {} : {stack});
  return new BkpError(code as ErrorCode, message, {
    ...(details === undefined ? {} : {details}),
    ...(cause === undefined ? {} : {cause}),
    ...(next === undefined ? {} : {next}),
  });
}

/** The three lines a person reads (what, cause, next), with a stack only where the fault is ours. */
export function renderError(error: PlainError): string {
  const lines = [`bkp: ${error.message} (${error.status})`];
  for (const detail of error.details ?? []) lines.push(indent('  - ', detail));
  if (error.cause !== undefined) lines.push(indent('cause: ', error.cause));
  if (error.next !== undefined) lines.push(indent('next:  ', error.next));
  if (error.stack !== undefined) lines.push(error.stack);
  return `${lines.join('\n')}\n`;
}

/** The same for programs: one JSON line, `{"status","issues":[{"message"}],"next"}`. */
export function renderErrorJson(error: PlainError): string {
  const more = [...(error.details ?? []), ...(error.cause === undefined ? [] : [error.cause])];
  const issues = [error.message, ...more].map((message) => ({message}));
  return `${JSON.stringify({status: error.status, code: error.code, issues, ...(error.next === undefined ? {} : {next: error.next})})}\n`;
}

function indent(label: string, text: string): string {
  return label + text.split('\n').join(`\n${' '.repeat(label.length)}`);
}

function causeText(cause: unknown): string | undefined {
  const parts: string[] = [];
  for (let at = cause; at !== undefined && at !== null && parts.length < 8; at = (at as {cause?: unknown}).cause) {
    parts.push(at instanceof Error ? at.message : String(at));
  }
  return parts.length === 0 ? undefined : parts.join(': ');
}
