import {type Operation, operationId} from '../ops/index.ts';

/** For whoever stops watching: what goes on without them, how to come back, how to end it. Empty when all is done. */
export function leaveNote(operations: readonly Operation[]): string {
  const running = operations.filter(({state}) => state.name !== 'done').map(operationId);
  if (running.length === 0) return '';
  const [id, what, which] =
    running.length === 1
      ? [running[0]!, `${running[0]} goes on without you`, running[0]!]
      : ['<id>', `${running.join(', ')} go on without you`, running.join(' ')];
  return `${what}.\nwatch:  bkp operation watch ${which}\ncancel: bkp operation cancel ${id}\n`;
}
