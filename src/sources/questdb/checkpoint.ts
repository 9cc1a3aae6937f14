import {setTimeout as pause} from 'node:timers/promises';
import {BkpError} from '../../errors/index.ts';
import {type HoldNote, readHoldNote, removeHoldNote, writeHoldNote} from './hold-note.ts';
import {microsText, parseMicros, type QuestDbHttp} from './http.ts';

export type CheckpointStatus = {
  /** Microseconds since 1970, the server's clock; undefined when none is held. */
  startedAtMicros: number | undefined;
  nowMicros: number;
};

/** CREATE syncs the whole machine. The server itself gives up after its query.timeout, a minute unless it is set. */
const createMs = 10 * 60_000;

/** A server that is away comes back with its checkpoint gone, or is busy: both show soon. */
const releaseTries = 5;
const releasePauseMs = 1000;

export async function checkpointStatus(http: QuestDbHttp): Promise<CheckpointStatus> {
  const [row] = await http.rows('SELECT in_progress, started_at, now() AS now FROM checkpoint_status()');
  const nowMicros = parseMicros(row?.now);
  const startedAtMicros = row?.in_progress === true ? parseMicros(row.started_at) : undefined;
  if (row === undefined || nowMicros === undefined || (row.in_progress === true && startedAtMicros === undefined)) {
    throw new BkpError('SOURCE_UNAVAILABLE', `QuestDB at ${http.url} does not tell whether a checkpoint is held`, {
      cause: JSON.stringify(row ?? null),
      next: 'bkp needs a version with checkpoint_status(), as 8.2.0 and newer have it',
    });
  }
  return {startedAtMicros, nowMicros};
}

/** The one checkpoint that this process made. */
export class Checkpoint {
  readonly startedAtMicros: number;
  readonly #http: QuestDbHttp;
  readonly #root: string;
  #isReleased = false;

  private constructor(http: QuestDbHttp, root: string, startedAtMicros: number) {
    this.#http = http;
    this.#root = root;
    this.startedAtMicros = startedAtMicros;
  }

  /** @throws BkpError `SOURCE_LOCKED` (somebody holds one) | `SOURCE_UNAVAILABLE` */
  static async create(
    http: QuestDbHttp,
    root: string,
    hold: string,
    notice: (text: string) => void,
  ): Promise<Checkpoint> {
    const before = await checkpointStatus(http);
    if (before.startedAtMicros !== undefined) throw heldByOthers(before.startedAtMicros, await readHoldNote(root));
    const note: HoldNote = {hold, askedAtMicros: before.nowMicros};
    if (!(await writeHoldNote(root, note))) {
      notice(`${root} may not be written: after a crash, only its time tells that a checkpoint is bkp's`);
    }
    // Without a signal: a request that is given up half-way may still make a checkpoint, which nobody would end.
    const answer = await http.ask('CHECKPOINT CREATE', createMs).catch(async (error: unknown) => {
      if (await endUnanswered(http, note)) await removeHoldNote(root);
      throw error;
    });
    if ('refusal' in answer) {
      await removeHoldNote(root);
      const {startedAtMicros} = await checkpointStatus(http);
      if (startedAtMicros !== undefined) throw heldByOthers(startedAtMicros, undefined);
      throw new BkpError('SOURCE_UNAVAILABLE', `QuestDB at ${http.url} makes no checkpoint: ${answer.refusal}`, {
        next: 'the server log tells more',
      });
    }
    const {startedAtMicros} = await checkpointStatus(http);
    if (startedAtMicros === undefined) throw lost('it was released at once');
    await writeHoldNote(root, {...note, startedAtMicros});
    return new Checkpoint(http, root, startedAtMicros);
  }

  /** @throws BkpError `SOURCE_UNAVAILABLE` when it is not held any more, or was not all the time */
  async confirm(): Promise<void> {
    if (this.#isReleased) throw lost('bkp itself has released it');
    const {startedAtMicros} = await checkpointStatus(this.#http);
    if (startedAtMicros === undefined) throw lost('the server was started again, or somebody released it');
    if (startedAtMicros !== this.startedAtMicros) throw lost('somebody released it and made another one');
  }

  /** @throws BkpError `SOURCE_UNAVAILABLE` when the server does not answer: the note in the root stays, for `releaseLeftover` */
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

/** What a process that was ended left held. */
export async function releaseLeftover(http: QuestDbHttp, root: string, diedAfterMicros: number): Promise<void> {
  const {startedAtMicros} = await checkpointStatus(http);
  const note = await readHoldNote(root);
  if (startedAtMicros !== undefined && startedAtMicros >= diedAfterMicros) {
    if (note === undefined ? await mayNotBeNoted(root) : isOfNote(startedAtMicros, note)) {
      await releaseOwn(http, startedAtMicros);
    }
  }
  // With it gone, and never with a checkpoint of an operation that still runs.
  if (note !== undefined && note.askedAtMicros >= diedAfterMicros) await removeHoldNote(root);
}

/** Whoever may write the root has noted every checkpoint of bkp's: one without a note is somebody else's. */
async function mayNotBeNoted(root: string): Promise<boolean> {
  const canNote = await writeHoldNote(root, {hold: '', askedAtMicros: 0});
  if (canNote) await removeHoldNote(root);
  return !canNote;
}

export function isOfNote(startedAtMicros: number, note: HoldNote): boolean {
  if (note.startedAtMicros !== undefined) return note.startedAtMicros === startedAtMicros;
  return startedAtMicros >= note.askedAtMicros && startedAtMicros <= note.askedAtMicros + createMs * 1000;
}

/**
 * CREATE was sent and nothing came back: it may have been made.
 * @returns false when nobody can tell, or it is still being made: the note stays, for `releaseLeftover`
 */
async function endUnanswered(http: QuestDbHttp, note: HoldNote): Promise<boolean> {
  try {
    const {startedAtMicros} = await checkpointStatus(http);
    if (startedAtMicros !== undefined && isOfNote(startedAtMicros, note)) await releaseOwn(http, startedAtMicros);
    return true;
  } catch {
    // What is told is that CREATE failed.
    return false;
  }
}

async function releaseOwn(http: QuestDbHttp, ownMicros: number): Promise<void> {
  const {startedAtMicros} = await checkpointStatus(http);
  // Gone with the server, or another's by now.
  if (startedAtMicros === ownMicros) await http.rows('CHECKPOINT RELEASE');
}

function heldByOthers(startedAtMicros: number, note: HoldNote | undefined): BkpError {
  const isOurs = note !== undefined && isOfNote(startedAtMicros, note);
  const since = microsText(startedAtMicros);
  return new BkpError('SOURCE_LOCKED', `a checkpoint of the database is held since ${since}, and only one can be`, {
    cause: isOurs ? `operation ${note.hold} of bkp made it` : 'it is not from bkp; another backup may be copying now',
    next: isOurs
      ? 'wait until that operation ends'
      : 'wait until that backup ends; if there is none, end it with: CHECKPOINT RELEASE',
    context: {startedAt: since},
    retryable: true,
  });
}

function lost(cause: string): BkpError {
  return new BkpError('SOURCE_UNAVAILABLE', 'the checkpoint was not held all the time: what was read is no backup', {
    cause,
    next: 'take the backup again',
    retryable: true,
  });
}
