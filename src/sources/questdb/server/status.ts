import {BkpError} from '../../../errors/index.ts';
import {parseMicros, type QuestDbHttp} from './http.ts';

export type CheckpointStatus = {
  /** Microseconds since 1970, by the server's clock; undefined when no checkpoint is held. */
  startedAtMicros: number | undefined;
  nowMicros: number;
};

/** @throws BkpError `SOURCE_UNAVAILABLE` */
export async function checkpointStatus(http: QuestDbHttp): Promise<CheckpointStatus> {
  const [row] = await http.rows('SELECT in_progress, started_at, now() AS now FROM checkpoint_status()');
  const nowMicros = parseMicros(row?.now);
  const startedAtMicros = row?.in_progress === true ? parseMicros(row.started_at) : undefined;
  if (row === undefined || nowMicros === undefined || (row.in_progress === true && startedAtMicros === undefined)) {
    throw new BkpError('SOURCE_UNAVAILABLE', `QuestDB at ${http.url} does not report whether a checkpoint is held`, {
      cause: JSON.stringify(row ?? null),
      next: 'bkp needs a version that has checkpoint_status(): 8.2.0 or newer',
    });
  }
  return {startedAtMicros, nowMicros};
}

/** RELEASE releases any checkpoint, so an answer that is older than this no longer says whose it would be. */
const freshMs = 1000;

/** A server may be slow all the time; a checkpoint that stays held costs it disk until it is released. */
const mostTries = 5;

/**
 * Releases the checkpoint with this `started_at`, unless it is gone or another one has taken its place: while this
 * process was paused, the server may have been restarted, and another program may have created one.
 */
export async function releaseOwn(http: QuestDbHttp, ownMicros: number): Promise<void> {
  for (let tries = 1; tries <= mostTries; tries++) {
    const askedAtMs = performance.now();
    const {startedAtMicros} = await checkpointStatus(http);
    if (startedAtMicros !== ownMicros) return;
    if (performance.now() - askedAtMs <= freshMs) break;
  }
  await http.rows('CHECKPOINT RELEASE');
}
