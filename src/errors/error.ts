import {type ErrorCode, type ExitStatus, errorCodes, type StatusWord} from './codes.ts';

export type ErrorOptions = {
  /** What went wrong below: an error, or a sentence. */
  cause?: unknown;
  /** The individual faults when `message` only counts them; one line each. */
  details?: readonly string[] | undefined;
  /** The next step of the user; one sentence or one command. */
  next?: string | undefined;
  /** Facts for programs and logs (`table`, `chunk`, `key`, …). Never a secret: callers redact it. */
  context?: Record<string, string | number | undefined>;
  /** The same call may succeed later without any action. Default false. */
  retryable?: boolean | undefined;
};

/**
 * The only error class of bkp: what, cause, next step.
 * Any other error that reaches the top is a bug in bkp and is shown with its stack.
 */
export class BkpError extends Error {
  override readonly name = 'BkpError';
  readonly code: ErrorCode;
  readonly details: readonly string[];
  readonly next: string | undefined;
  /** Without undefined values. */
  readonly context: Readonly<Record<string, string | number>>;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : {cause: options.cause});
    this.code = code;
    this.details = options.details ?? [];
    this.next = options.next;
    this.context = definedOf(options.context ?? {});
    this.retryable = options.retryable ?? false;
  }

  get status(): StatusWord {
    return errorCodes[this.code].status;
  }

  get exitStatus(): ExitStatus {
    return errorCodes[this.code].exit;
  }
}

function definedOf(context: Record<string, string | number | undefined>): Record<string, string | number> {
  const defined: Record<string, string | number> = {};
  for (const [key, value] of Object.entries(context)) if (value !== undefined) defined[key] = value;
  return defined;
}

/** A broken invariant is a bug, not an error to handle: it stops bkp before anything is written. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${what}`);
}

/** Ends a `switch` over a union: a new member does not compile until it is handled. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

/** The system's error code (`ENOENT`, `ENOSPC`, …) of a thrown value, if it has one. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as {code?: unknown} | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** Whether the system refused a write because a disk, or what the user may have of it, is full. */
export const isDiskFull = (error: unknown): boolean => ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '');
