import {setTimeout as pause} from 'node:timers/promises';
import {BkpError} from '../../../errors/index.ts';
import {microsText} from '../../../lib/time.ts';
import {createTimeoutMs, type HoldNote, isOfNote, readHoldNote, removeHoldNote, writeHoldNote} from './hold-note.ts';
import {fateOf, type Processes, thisHolder} from './holder.ts';
import {mayWrite, type QuestDbHttp} from './http.ts';
import {releaseDead} from './leftovers.ts';
import {checkpointStatus, releaseOwn} from './status.ts';

/** Enough for a busy server. A server that was restarted has lost its checkpoint, which the first answer shows. */
const releaseTries = 5;
const releasePauseMs = 1000;

/** The checkpoint that this process created. */
export class Checkpoint {
  /** When the server began to create it, by the server's clock: everything committed before is included. */
  readonly startedAtMicros: number;
  /** A time after the server had created it, by the server's clock: nothing committed later is included. */
  readonly createdByMicros: number;
  readonly #http: QuestDbHttp;
  readonly #root: string;
  #isReleased = false;

  private constructor(http: QuestDbHttp, root: string, times: {startedAtMicros: number; createdByMicros: number}) {
    this.#http = http;
    this.#root = root;
    this.startedAtMicros = times.startedAtMicros;
    this.createdByMicros = times.createdByMicros;
  }

  /** @throws BkpError `SOURCE_LOCKED` (another process or program holds a checkpoint) | `SOURCE_UNAVAILABLE` */
  static async create(
    http: QuestDbHttp,
    root: string,
    {hold, notice, processes}: {hold: string; notice: (text: string) => void; processes: Processes | undefined},
  ): Promise<Checkpoint> {
    let before = await checkpointStatus(http);
    if (before.startedAtMicros !== undefined) {
      const dead = await releaseDead(http, root, processes);
      if (dead === undefined) throw heldByOthers(before.startedAtMicros, await readHoldNote(root), processes);
      notice(`the checkpoint that ${dead} left held was released: its process has ended`);
      before = await checkpointStatus(http);
      if (before.startedAtMicros !== undefined) throw heldByOthers(before.startedAtMicros, undefined, processes);
    }
    const note: HoldNote = {hold, askedAtMicros: before.nowMicros, holder: thisHolder(processes)};
    if (!(await writeHoldNote(root, note))) {
      notice(`bkp cannot write to ${root}: after a crash, only the time of a checkpoint shows that bkp created it`);
    }
    // Without a signal: an abandoned request may still create a checkpoint, which no process would release.
    const result = await http.ask('CHECKPOINT CREATE', createTimeoutMs).catch(async (error: unknown) => {
      if (await endUnanswered(http, note)) await removeHoldNote(root);
      throw error;
    });
    if ('refusal' in result) {
      await removeHoldNote(root);
      const {startedAtMicros} = await checkpointStatus(http);
      if (startedAtMicros !== undefined) throw heldByOthers(startedAtMicros, undefined, processes);
      throw refused(http, result.refusal);
    }
    const {startedAtMicros, nowMicros} = await checkpointStatus(http);
    if (startedAtMicros === undefined) throw lost('it was released right after it was created');
    await writeHoldNote(root, {...note, startedAtMicros});
    return new Checkpoint(http, root, {startedAtMicros, createdByMicros: nowMicros});
  }

  /** @throws BkpError `SOURCE_UNAVAILABLE` when the checkpoint is not held, or was not held all the time */
  async confirm(): Promise<void> {
    if (this.#isReleased) throw lost('bkp itself released it');
    const {startedAtMicros} = await checkpointStatus(this.#http);
    if (startedAtMicros === undefined) throw lost('the server was restarted, or another program released it');
    if (startedAtMicros !== this.startedAtMicros) throw lost('another program released it and created a new one');
  }

  /**
   * May be called twice.
   * @throws BkpError `SOURCE_UNAVAILABLE` when the server does not answer: the note stays in the root for
   * `releaseLeftover`
   */
  async release(): Promise<void> {
    if (this.#isReleased) return;
    for (let left = releaseTries - 1; ; left--) {
      try {
        await releaseOwn(this.#http, this.startedAtMicros);
        break;
      } catch (error) {
        if (left === 0) throw error;
        await pause(releasePauseMs);
      }
    }
    this.#isReleased = true;
    await removeHoldNote(this.#root);
  }
}

/**
 * Creates a checkpoint for another program that copies the files; it is held until it is released.
 * @throws BkpError `SOURCE_LOCKED` (a checkpoint is held already) | `SOURCE_UNAVAILABLE`
 */
export async function createForOthers(
  http: QuestDbHttp,
  root: string,
  processes: Processes | undefined,
): Promise<void> {
  const {startedAtMicros} = await checkpointStatus(http);
  if (startedAtMicros !== undefined) throw heldByOthers(startedAtMicros, await readHoldNote(root), processes);
  const result = await http.ask('CHECKPOINT CREATE', createTimeoutMs);
  if ('refusal' in result) throw refused(http, result.refusal);
}

/**
 * Releases the checkpoint that an unanswered CREATE may have created.
 * @returns false when the server still does not answer: the note stays for `releaseLeftover`
 */
async function endUnanswered(http: QuestDbHttp, note: HoldNote): Promise<boolean> {
  try {
    const {startedAtMicros} = await checkpointStatus(http);
    if (startedAtMicros !== undefined && isOfNote(startedAtMicros, note)) await releaseOwn(http, startedAtMicros);
    return true;
  } catch {
    // The caller reports the failure of CREATE.
    return false;
  }
}

function heldByOthers(startedAtMicros: number, note: HoldNote | undefined, processes: Processes | undefined): BkpError {
  const since = microsText(startedAtMicros);
  const message = `a checkpoint of the database is held since ${since}, and there can be only one`;
  const more = {context: {startedAt: since}, retryable: true};
  if (note === undefined || !isOfNote(startedAtMicros, note)) {
    return new BkpError('SOURCE_LOCKED', message, {
      ...more,
      cause: 'another program created it; it may be taking a backup now',
      next: 'wait until that backup ends; if no backup is running, release it: bkp sql "CHECKPOINT RELEASE"',
    });
  }
  const isAlive = fateOf(note.holder, processes) === 'alive';
  const where = note.holder === undefined || isAlive ? '' : ` on ${note.holder.host}`;
  return new BkpError('SOURCE_LOCKED', message, {
    ...more,
    cause: `operation ${note.hold} of bkp created it${where}`,
    next: isAlive
      ? 'wait until that operation ends'
      : 'wait until that operation ends; if it is no longer running, release it: bkp sql "CHECKPOINT RELEASE"',
  });
}

function refused(http: QuestDbHttp, refusal: string): BkpError {
  return new BkpError('SOURCE_UNAVAILABLE', `QuestDB at ${http.url} does not create a checkpoint: ${refusal}`, {
    next: /denied/i.test(refusal) ? mayWrite : 'see the log of the server',
  });
}

function lost(cause: string): BkpError {
  return new BkpError('SOURCE_UNAVAILABLE', 'the checkpoint was not held all the time, so the backup is not usable', {
    cause,
    next: 'take the backup again',
    retryable: true,
  });
}
