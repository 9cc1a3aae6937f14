import type {WorkProgress} from '../../backups/index.ts';
import {formatBytes} from '../../lib/figures.ts';
import type {Deps} from '../deps.ts';

/** A person reads no faster. */
const everyMicros = 200_000;

/** Shows how much was read, now and then, where somebody watches. */
export function shownBy({showProgress, nowMicros}: Deps): (progress: WorkProgress) => void {
  if (showProgress === undefined) return () => {};
  let shownAt = 0;
  return ({phase, bytesDone, bytesTotal}) => {
    if (nowMicros() - shownAt < everyMicros) return;
    shownAt = nowMicros();
    const of = bytesTotal === undefined ? '' : ` of ${formatBytes(bytesTotal)}`;
    const what = phase === 'TransferData' ? '' : ` ${phase},`;
    showProgress(`reading${what} ${formatBytes(bytesDone)}${of}`);
  };
}
