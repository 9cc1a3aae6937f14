import type {Operation} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';

/** How long a restore will take, judged by earlier ones. */
export type TimeEstimate = {seconds: number; restores: number};

/** Only the last ones: machine and store were probably the same. */
const mostRestores = 5;
/** Starting a worker, opening vault and database: not faster for fewer bytes. */
const startSeconds = 1;

/** @returns undefined if no restore of a collection has succeeded yet */
export async function estimateRestore(deps: Deps, bytes: number): Promise<TimeEstimate | undefined> {
  const journal = await deps.journal();
  const {operations} = await journal.list({kinds: ['restore'], page: 1, pageSize: 100});
  const seconds = operations
    .flatMap((operation) => secondsFor(bytes, operation) ?? [])
    .slice(0, mostRestores)
    .sort((a, b) => a - b);
  const median = seconds[Math.floor(seconds.length / 2)];
  return median === undefined ? undefined : {seconds: Math.ceil(median), restores: seconds.length};
}

/** As long a byte as the earlier restore took. */
function secondsFor(bytes: number, {state}: Operation): number | undefined {
  if (state.name !== 'done' || state.outcome.status !== 'SUCCESS' || state.startedAtMicros === undefined)
    return undefined;
  const {logicalBytes = 0} = state.outcome.result;
  if (logicalBytes === 0) return undefined;
  const took = (state.endedAtMicros - state.startedAtMicros) / 1e6;
  return startSeconds + Math.max(0, took - startSeconds) * (bytes / logicalBytes);
}
