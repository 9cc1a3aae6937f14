import {setTimeout as sleep} from 'node:timers/promises';
import {BkpError} from '../../errors/index.ts';
import {operationId} from '../kinds.ts';
import type {Operation, OperationNumber} from '../operation.ts';
import type {Journal} from './journal.ts';

export type WaitOptions = {
  /** Aborting it ends the wait, not the operation. */
  signal?: AbortSignal;
  /** Default: no limit. */
  timeoutMs?: number;
  pollMs?: number;
  /** Called with the operation as first read, and after every change, including the last. */
  onChange?: (operation: Operation) => void;
};

/** Checking for dead workers costs more than reading a row; on macOS it starts a process. */
const reapEveryMs = 1_000;

/**
 * @returns the operation when it is done, whatever its outcome
 * @throws BkpError `TIMEOUT` | `INTERRUPTED`, while the work continues; `OPERATION_NOT_FOUND`, also when the operation
 *   was forgotten meanwhile
 */
export async function waitFor(
  journal: Journal,
  number: OperationNumber,
  {signal, timeoutMs = Number.POSITIVE_INFINITY, pollMs = 200, onChange = () => {}}: WaitOptions = {},
): Promise<Operation> {
  const startedAtMs = performance.now();
  let reapedAtMs = Number.NEGATIVE_INFINITY;
  let seen = '';
  for (;;) {
    const nowMs = performance.now();
    if (nowMs - reapedAtMs >= reapEveryMs) {
      await journal.reap();
      reapedAtMs = nowMs;
    }
    const operation = await journal.get(number);
    const text = JSON.stringify(operation);
    if (text !== seen) onChange(operation);
    seen = text;
    if (operation.state.name === 'done') return operation;

    const leftMs = timeoutMs - (nowMs - startedAtMs);
    if (leftMs <= 0) throw stopped('TIMEOUT', operation, `is not done after ${timeoutMs / 1000} s`);
    await sleep(Math.min(pollMs, leftMs), undefined, signal === undefined ? {} : {signal}).catch(() => {});
    if (signal?.aborted) throw stopped('INTERRUPTED', operation, 'is not waited for any longer');
  }
}

function stopped(code: 'TIMEOUT' | 'INTERRUPTED', operation: Operation, what: string): BkpError {
  const id = operationId(operation);
  return new BkpError(code, `${id} ${what}; the work continues`, {
    next: `bkp operation wait ${id} waits again, bkp operation cancel ${id} ends it`,
    context: {operation: id},
  });
}
