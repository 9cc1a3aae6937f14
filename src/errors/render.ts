import {type ErrorCode, errorCodes} from './codes.ts';
import {BkpError} from './error.ts';
import {messageOf} from './parser-quotes.ts';

/** An error as data, for a journal row, a JSON line or another process. */
export type PlainError = {
  code: string;
  status: string;
  message: string;
  /** The individual faults when `message` only counts them. */
  details?: readonly string[] | undefined;
  /** The messages of all causes, outermost first; absent without a cause. */
  cause?: string | undefined;
  next?: string | undefined;
  /** Only for bugs in bkp (`INTERNAL`). */
  stack?: string | undefined;
};

const unforeseen = 'unexpected error in bkp: ';

/** @returns `error` as data; anything that is not a {@link BkpError} becomes code `INTERNAL` with its stack. */
export function asPlain(error: unknown): PlainError {
  if (error instanceof BkpError) {
    const {code, status, message, details, next} = error;
    return {
      code,
      status,
      message,
      details: details.length === 0 ? undefined : details,
      cause: causeText(error.cause),
      next,
    };
  }
  if (isSystemError(error)) return asPlain(systemFault(error));
  const message = error instanceof Error ? messageOf(error) : String(error);
  // It begins with the message.
  const stack = error instanceof Error ? error.stack?.replace(error.message, () => message) : undefined;
  return {
    code: 'INTERNAL',
    status: 'INTERNAL_ERROR',
    message: message.startsWith(unforeseen) ? message : `${unforeseen}${message}`,
    next: 'this is a bug in bkp; please report it with the lines below',
    stack,
  };
}

/** Next steps for errors of the machine's disks, rights and limits, which are not bugs in bkp. */
const systemReasons: Readonly<Record<string, string>> = {
  ENOSPC: 'free some space there',
  EDQUOT: 'free some space there, or have the quota raised',
  EACCES: 'check who owns it, and which rights you have there',
  EPERM: 'check who owns it, and which rights you have there',
  EROFS: 'it is mounted read-only',
  ENOTDIR: 'there is a file where bkp needs a folder',
  EISDIR: 'there is a folder where bkp needs a file',
  ELOOP: 'links point to each other there',
  ENAMETOOLONG: 'choose a shorter path',
  EMFILE: 'raise the limit of open files: ulimit -n',
  ENFILE: 'the machine has too many open files',
  ENOMEM: 'the machine has no memory left',
  EIO: 'check the disk: the system could not read or write it',
};

/** Of errors that do not name a file, as those of a write do not. */
const placelessReasons: Readonly<Record<string, string>> = {
  ENOSPC: 'free some space: df -h shows the full disk, which may be that of the home of bkp or of temporary files',
  EDQUOT: 'free some space in the home of bkp or in that of temporary files, or have the quota raised',
};

type SystemError = Error & {code: string; syscall: string; path?: string};

function isSystemError(error: unknown): error is SystemError {
  if (!(error instanceof Error)) return false;
  const {code, syscall} = error as Partial<SystemError>;
  return typeof syscall === 'string' && typeof code === 'string' && Object.hasOwn(systemReasons, code);
}

function systemFault(error: SystemError): BkpError {
  const {code, message, path} = error;
  const next = path === undefined ? placelessReasons[code] : undefined;
  return new BkpError('SYSTEM', `the system returned an error: ${message}`, {next: next ?? systemReasons[code]!});
}

/** Turns the data of {@link asPlain} back into an error, in another process or later. Its cause is then a text. */
export function fromPlain({code, message, details, cause, next, stack}: PlainError): Error {
  if (stack !== undefined || !(code in errorCodes))
    return Object.assign(new Error(message), stack === undefined ? {} : {stack});
  return new BkpError(code as ErrorCode, message, {details, cause, next});
}

/** The three lines for people (what, cause, next); with a stack only for a bug in bkp. */
export function renderError(error: PlainError): string {
  const lines = [`bkp: ${error.message} (${error.status})`];
  for (const detail of error.details ?? []) lines.push(indent('  - ', detail));
  if (error.cause !== undefined) lines.push(indent('cause: ', error.cause));
  if (error.next !== undefined) lines.push(indent('next:  ', error.next));
  if (error.stack !== undefined) lines.push(error.stack);
  return `${lines.join('\n')}\n`;
}

/** The same for programs: one JSON line, `{"status","code","issues":[{"message"}],"next"}`. */
export function renderErrorJson(error: PlainError): string {
  const more = [...(error.details ?? []), ...(error.cause === undefined ? [] : [error.cause])];
  const issues = [error.message, ...more].map((message) => ({message}));
  return `${JSON.stringify({status: error.status, code: error.code, issues, next: error.next})}\n`;
}

function indent(label: string, text: string): string {
  return label + text.split('\n').join(`\n${' '.repeat(label.length)}`);
}

function causeText(cause: unknown): string | undefined {
  const parts: string[] = [];
  for (let at = cause; at !== undefined && at !== null && parts.length < 8; at = (at as {cause?: unknown}).cause) {
    parts.push(at instanceof Error ? messageOf(at) : String(at));
  }
  return parts.length === 0 ? undefined : parts.join(': ');
}
