import {setTimeout as pause} from 'node:timers/promises';
import {BkpError} from '../../../errors/index.ts';
import {microsText} from '../../../lib/time.ts';
import {type HoldNote, readHoldNote, removeHoldNote, writeHoldNote} from './hold-note.ts';
import {fateOf, type Processes, thisHolder} from './holder.ts';
import {mayWrite, parseMicros, type QuestDbHttp} from './http.ts';

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
    {hold, notice, processes}: {hold: string; notice: (text: string) => void; processes: Processes | undefined},
  ): Promise<Checkpoint> {
    let before = await checkpointStatus(http);
    if (before.startedAtMicros !== undefined) {
      const dead = await releaseDead(http, root, processes);
      if (dead === undefined) throw heldByOthers(before.startedAtMicros, await readHoldNote(root), processes);
      notice(`the checkpoint that ${dead} had left was released: its process has ended`);
      before = await checkpointStatus(http);
      if (before.startedAtMicros !== undefined) throw heldByOthers(before.startedAtMicros, undefined, processes);
    }
    const holder = thisHolder(processes);
    const note: HoldNote = {hold, askedAtMicros: before.nowMicros, ...(holder === undefined ? {} : {holder})};
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
      if (startedAtMicros !== undefined) throw heldByOthers(startedAtMicros, undefined, processes);
      throw refused(http, answer.refusal);
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

/**
 * As the server has it, for somebody who copies the files in another way: it is held until it is released.
 * @throws BkpError `SOURCE_LOCKED` (one is held already) | `SOURCE_UNAVAILABLE`
 */
export async function createForOthers(
  http: QuestDbHttp,
  root: string,
  processes: Processes | undefined,
): Promise<void> {
  const {startedAtMicros} = await checkpointStatus(http);
  if (startedAtMicros !== undefined) throw heldByOthers(startedAtMicros, await readHoldNote(root), processes);
  const answer = await http.ask('CHECKPOINT CREATE', createMs);
  if ('refusal' in answer) throw refused(http, answer.refusal);
}

/**
 * Ends whatever checkpoint is held, and none is no error, as in the server; but not that of a backup that goes on.
 * @throws BkpError `SOURCE_LOCKED` | `SOURCE_UNAVAILABLE`
 */
export async function releaseAny(http: QuestDbHttp, root: string, processes: Processes | undefined): Promise<void> {
  const {startedAtMicros} = await checkpointStatus(http);
  const note = await readHoldNote(root);
  const isOurs = startedAtMicros !== undefined && note !== undefined && isOfNote(startedAtMicros, note);
  if (isOurs && fateOf(note.holder, processes) === 'alive') {
    throw new BkpError('SOURCE_LOCKED', `operation ${note.hold} of bkp is copying under this checkpoint`, {
      next: 'BACKUP ABORT ends the backup, and releases the checkpoint',
      context: {startedAt: microsText(startedAtMicros)},
    });
  }
  await http.rows('CHECKPOINT RELEASE');
  if (isOurs) await removeHoldNote(root);
}

/**
 * What a process that was ended left held.
 * @param dead.hold its operation; other homes may have one of the same name
 */
export async function releaseLeftover(
  http: QuestDbHttp,
  root: string,
  dead: {diedAfterMicros: number; hold: string | undefined},
  processes: Processes | undefined,
): Promise<void> {
  const {diedAfterMicros} = dead;
  const {startedAtMicros} = await checkpointStatus(http);
  const note = await readHoldNote(root);
  // Somebody else's, in another home, who works or may work.
  if (note !== undefined && !mayBeOf(dead, note, processes)) return;
  if (startedAtMicros !== undefined && startedAtMicros >= diedAfterMicros) {
    if (note === undefined ? await mayNotBeNoted(root) : isOfNote(startedAtMicros, note)) {
      await releaseOwn(http, startedAtMicros);
    }
  }
  // With it gone, and never with a checkpoint of an operation that still runs.
  if (note !== undefined && note.askedAtMicros >= diedAfterMicros) await removeHoldNote(root);
}

function mayBeOf({hold}: {hold: string | undefined}, note: HoldNote, processes: Processes | undefined): boolean {
  if (note.holder === undefined || processes === undefined) return true;
  const fate = fateOf(note.holder, processes);
  return fate === 'dead' || (fate === 'unknown' && note.hold === hold);
}

/**
 * A checkpoint that bkp made, in whatever home, and whose process has ended for certain.
 * @returns the operation that held it; undefined when there is none such
 */
export async function releaseDead(
  http: QuestDbHttp,
  root: string,
  processes: Processes | undefined,
): Promise<string | undefined> {
  const {startedAtMicros} = await checkpointStatus(http);
  const note = await readHoldNote(root);
  if (startedAtMicros === undefined || note === undefined || !isOfNote(startedAtMicros, note)) return undefined;
  if (fateOf(note.holder, processes) !== 'dead') return undefined;
  await releaseOwn(http, startedAtMicros);
  await removeHoldNote(root);
  return note.hold;
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

function heldByOthers(startedAtMicros: number, note: HoldNote | undefined, processes: Processes | undefined): BkpError {
  const since = microsText(startedAtMicros);
  const message = `a checkpoint of the database is held since ${since}, and only one can be`;
  const more = {context: {startedAt: since}, retryable: true};
  if (note === undefined || !isOfNote(startedAtMicros, note)) {
    return new BkpError('SOURCE_LOCKED', message, {
      ...more,
      cause: 'it is not from bkp; another backup may be copying now',
      next: 'wait until that backup ends; if there is none, end it with: bkp sql "CHECKPOINT RELEASE"',
    });
  }
  const isAlive = fateOf(note.holder, processes) === 'alive';
  const where = note.holder === undefined || isAlive ? '' : ` on ${note.holder.host}`;
  return new BkpError('SOURCE_LOCKED', message, {
    ...more,
    cause: `operation ${note.hold} of bkp made it${where}`,
    next: isAlive
      ? 'wait until that operation ends'
      : 'wait until that operation ends; if it does not run any more, end it with: bkp sql "CHECKPOINT RELEASE"',
  });
}

function refused(http: QuestDbHttp, refusal: string): BkpError {
  return new BkpError('SOURCE_UNAVAILABLE', `QuestDB at ${http.url} makes no checkpoint: ${refusal}`, {
    next: /denied/i.test(refusal) ? mayWrite : 'the server log tells more',
  });
}

function lost(cause: string): BkpError {
  return new BkpError('SOURCE_UNAVAILABLE', 'the checkpoint was not held all the time: what was read is no backup', {
    cause,
    next: 'take the backup again',
    retryable: true,
  });
}
