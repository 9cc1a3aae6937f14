import {type ErrorCode, type ExitStatus, errorCodes, type StatusWord} from './codes.ts';

export type ErrorOptions = {
  /** What went wrong below: an error, or a fact in words. */
  cause?: unknown;
  /** The single faults when `message` only counts them; one line each. */
  details?: readonly string[];
  /** What to type or to look at; one sentence or one command. */
  next?: string;
  /** Facts for programs and logs (`table`, `chunk`, `key`, …). Never a secret: redact before it gets here. */
  context?: Record<string, string | number>;
  /** True when the same call may succeed later without anybody doing anything. Default false. */
  retryable?: boolean;
};

/**
 * The one error class of bkp: what, cause, next step.
 * Everything else that reaches the top is a fault of ours and is shown with its stack.
 */
export class BkpError extends Error {
  override readonly name = 'BkpError';
  readonly code: ErrorCode;
  readonly details: readonly string[];
  readonly next: string | undefined;
  readonly context: Readonly<Record<string, string | number>>;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : {cause: options.cause});
    this.code = code;
    this.details = options.details ?? [];
    this.next = options.next;
    this.context = options.context ?? {};
    this.retryable = options.retryable ?? false;
  }

  get status(): StatusWord {
    return errorCodes[this.code].status;
  }

  get exitStatus(): ExitStatus {
    return errorCodes[this.code].exit;
  }
}

/** A broken invariant is not an error to handle: stop before anything is written. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${what}`);
}

/** For the end of a `switch` over a union: a new member does not compile until it is handled. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

/** The system's error code (`ENOENT`, `ENOSPC`, …) of anything thrown, if it has one. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as {code?: unknown} | null)?.code;
  return typeof code === 'string' ? code : undefined;
}
