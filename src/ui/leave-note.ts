import {type Operation, operationId} from '../ops/index.ts';

/** Printed when the user stops watching: what still runs, and how to watch or cancel it. Empty when all is done. */
export function leaveNote(operations: readonly Operation[]): string {
  const running = operations.filter(({state}) => state.name !== 'done').map(operationId);
  if (running.length === 0) return '';
  const [id, what, which] =
    running.length === 1
      ? [running[0]!, `${running[0]} continues in the background`, running[0]!]
      : ['<id>', `${running.join(', ')} continue in the background`, running.join(' ')];
  return `${what}.\nwatch:  bkp operation watch ${which}\ncancel: bkp operation cancel ${id}\n`;
}
