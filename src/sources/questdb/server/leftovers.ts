import {BkpError} from '../../../errors/index.ts';
import {microsText} from '../../../lib/time.ts';
import {type HoldNote, isOfNote, readHoldNote, removeHoldNote, writeHoldNote} from './hold-note.ts';
import {fateOf, type Processes} from './holder.ts';
import type {QuestDbHttp} from './http.ts';
import {checkpointStatus, releaseOwn} from './status.ts';

/**
 * Releases any checkpoint, as the server's own statement does; without one it does nothing. A checkpoint under which
 * a backup is running stays.
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
 * Releases the checkpoint that a dead process left held.
 * @param dead.diedAfterMicros start of its operation: an older checkpoint is not its own
 * @param dead.hold its operation; an operation of another home may have the same name
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
  // The note of a process in another home that is running, or may be running.
  if (note !== undefined && !mayBeOf(dead, note, processes)) return;
  if (startedAtMicros !== undefined && startedAtMicros >= diedAfterMicros) {
    if (note === undefined ? await mayNotBeNoted(root) : isOfNote(startedAtMicros, note)) {
      await releaseOwn(http, startedAtMicros);
    }
  }
  // Only together with its checkpoint: the note of an operation that is still running stays.
  if (note !== undefined && note.askedAtMicros >= diedAfterMicros) await removeHoldNote(root);
}

/**
 * Releases a checkpoint of bkp, from any home, whose process has certainly ended.
 * @returns the operation that held it; undefined when there is no such checkpoint
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

function mayBeOf({hold}: {hold: string | undefined}, note: HoldNote, processes: Processes | undefined): boolean {
  if (note.holder === undefined || processes === undefined) return true;
  const fate = fateOf(note.holder, processes);
  return fate === 'dead' || (fate === 'unknown' && note.hold === hold);
}

/**
 * Whether bkp may have created a checkpoint without leaving a note: only where it cannot write to the root. Elsewhere a
 * checkpoint without a note belongs to another program.
 */
async function mayNotBeNoted(root: string): Promise<boolean> {
  const canNote = await writeHoldNote(root, {hold: '', askedAtMicros: 0});
  if (canNote) await removeHoldNote(root);
  return !canNote;
}
