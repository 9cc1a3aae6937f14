import {setTimeout as sleep} from 'node:timers/promises';
import {BkpError} from '../../errors/index.ts';
import {operationId} from '../kinds.ts';
import type {Operation, OperationNumber} from '../operation.ts';
import type {Journal} from './journal.ts';

export type WaitOptions = {
  /** Aborting it ends the waiting, not the operation. */
  signal?: AbortSignal;
  /** Default: as long as it takes. */
  timeoutMs?: number;
  pollMs?: number;
  /** Called with the operation as it is at first, and after every change, the last one included. */
  onChange?: (operation: Operation) => void;
};

/** Looking for dead workers costs more than reading a row, on some systems a process. */
const reapEveryMs = 1_000;

/**
 * @returns the operation when it is done, however it ended
 * @throws BkpError `TIMEOUT` | `INTERRUPTED`, and the work goes on; `OPERATION_NOT_FOUND` also when it was forgotten meanwhile
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
    if (signal?.aborted) throw stopped('INTERRUPTED', operation, 'is no longer waited for');
  }
}

function stopped(code: 'TIMEOUT' | 'INTERRUPTED', operation: Operation, what: string): BkpError {
  const id = operationId(operation);
  return new BkpError(code, `${id} ${what}; the work goes on`, {
    next: `bkp operation wait ${id} waits again, bkp operation cancel ${id} ends it`,
    context: {operation: id},
  });
}
