import {rm} from 'node:fs/promises';
import {join} from 'node:path';
import * as v from 'valibot';
import {replaceFile} from '../../../lib/files.ts';
import {readPlainFile} from '../../../lib/plain-file.ts';
import {count, parsedJson, text} from '../../../lib/schema.ts';
import type {Holder} from './holder.ts';

/**
 * The server holds a checkpoint, not a connection, and does not record who created it. So bkp notes its own
 * checkpoints in this file in the root: before CREATE, so that a killed process never leaves one unnoted, and again
 * with its `started_at`.
 */
const noteName = '.bkp-checkpoint';

/**
 * How long bkp waits for CREATE, which syncs the whole machine. The server itself gives up after its `query.timeout`, a
 * minute by default.
 */
export const createTimeoutMs = 10 * 60_000;

export type HoldNote = {
  /** The operation that holds the checkpoint. */
  hold: string;
  /** The process of that operation; absent in notes of earlier versions. */
  holder?: Holder | undefined;
  /** The server's clock before CREATE, microseconds since 1970. */
  askedAtMicros: number;
  /** The checkpoint's `started_at`; absent when the process ended before it read that. */
  startedAtMicros?: number;
};

const holderSchema = v.object({host: text, pid: count, startedAt: text, boot: text, space: text});
const noteSchema = v.object({
  hold: text,
  holder: v.exactOptional(holderSchema),
  askedAtMicros: count,
  startedAtMicros: v.exactOptional(count),
});

/** Whether the note is about the checkpoint with this `started_at`. */
export function isOfNote(startedAtMicros: number, note: HoldNote): boolean {
  if (note.startedAtMicros !== undefined) return note.startedAtMicros === startedAtMicros;
  return startedAtMicros >= note.askedAtMicros && startedAtMicros <= note.askedAtMicros + createTimeoutMs * 1000;
}

/** @returns false when bkp cannot write to the root: then only the times show whether bkp created a checkpoint */
export async function writeHoldNote(root: string, note: HoldNote): Promise<boolean> {
  const path = join(root, noteName);
  try {
    await replaceFile(path, `${JSON.stringify(note)}\n`, {temporary: `${path}.new`, mode: 0o600});
    return true;
  } catch {
    return false;
  }
}

export async function readHoldNote(root: string): Promise<HoldNote | undefined> {
  try {
    const note = readPlainFile(join(root, noteName));
    return parsedJson<HoldNote>(noteSchema, note, (why) => new Error(why));
  } catch {
    return undefined;
  }
}

export async function removeHoldNote(root: string): Promise<void> {
  await rm(join(root, noteName), {force: true}).catch(() => undefined);
}
