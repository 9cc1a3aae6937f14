import {readFile, rm} from 'node:fs/promises';
import {join} from 'node:path';
import * as v from 'valibot';
import {replaceFile} from '../../../lib/files.ts';
import {count, parsedJson, text} from '../../../lib/schema.ts';
import type {Holder} from './holder.ts';

/**
 * A checkpoint is held by the server, not by a connection, and the server does not know whose it is. So bkp notes its own in
 * this file in the root: before CREATE, so that no process that is killed leaves one unnoted, and again with its moment after.
 */
const noteName = '.bkp-checkpoint';

export type HoldNote = {
  /** The operation that holds it. */
  hold: string;
  /** The process that works on it; absent in notes of earlier versions. */
  holder?: Holder;
  /** The server's clock before CREATE, microseconds since 1970. */
  askedAtMicros: number;
  /** The checkpoint's `started_at`; absent when the process was ended before it knew. */
  startedAtMicros?: number;
};

const holderSchema = v.object({host: text, pid: count, startedAt: text, boot: text, space: text});
const noteSchema = v.object({
  hold: text,
  holder: v.exactOptional(holderSchema),
  askedAtMicros: count,
  startedAtMicros: v.exactOptional(count),
});

/** @returns false when the root may not be written: then only the times tell whose a checkpoint is */
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
    const note = await readFile(join(root, noteName), 'utf8');
    return parsedJson<HoldNote>(noteSchema, note, (why) => new Error(why));
  } catch {
    return undefined;
  }
}

export async function removeHoldNote(root: string): Promise<void> {
  await rm(join(root, noteName), {force: true}).catch(() => undefined);
}
