import {existsSync, readdirSync, rmSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import * as v from 'valibot';
import {replaceFile, syncFolder, syncFolderSync} from '../../../lib/files.ts';
import {readPlainFile} from '../../../lib/plain-file.ts';
import type {Processes} from '../../../lib/processes.ts';
import {count, parsedJson, text} from '../../../lib/schema.ts';
import type {TableName} from '../../source.ts';
import type {LayoutState} from '../layout/page-layout.ts';
import {removeDatabase} from './staging-file.ts';

/**
 * What a staging file has for sure, even if its machine lost power: a file beside it, replaced at each checkpoint.
 * Another restore of the same plan continues from there once the process that wrote it is gone.
 *
 * Only a process that is known to have ended may be followed: one that is merely paused would continue to write into
 * the file when it wakes up.
 */
export type StagingRecord = {
  /** 2: `deltas` may be present. 3: `indexes` is. */
  version: 1 | 2 | 3;
  /** What is restored, see `stage`. */
  plan: string;
  /** The pages that SQLite made before trees were laid out; equal for equal plans and versions of SQLite. */
  skeleton: string;
  owner: Owner;
  state: LayoutState;
  /** Present once all trees are in the file and rows and keys are being applied; see `DeltaProgress`. */
  deltas?: DeltaState;
  /** Present once all of them are applied and indexes are being built; see `IndexProgress`. */
  indexes?: IndexState;
  /** Bytes of the rows, by table, as far as they were loaded. */
  loaded: readonly (readonly [TableName, number])[];
};

/**
 * `steps`: the length of each segment of keys or rows that is in the file, and what is in the segment. The file's
 * user_version is their number; nothing of the WAL beside it counts, unless `isMoving`.
 */
export type DeltaState = {steps: readonly (readonly [bytes: number, count: number])[]; isMoving: boolean};

/**
 * `header` and `bytes`: the beginning and the length of the file in the state that counts. `isWriting`: a transaction
 * followed, which the journal beside the file undoes.
 */
export type IndexState = {
  /** Whether the rows are in their tables. */
  isLanded: boolean;
  isWriting: boolean;
  header: string;
  bytes: number;
  /** The indexes that need not be built any more. */
  built: readonly string[];
  /** What building them told. */
  notices: readonly string[];
  /** Statements of those that could not be built. */
  lost: readonly string[];
};

type Owner = {pid: number; startedAt: string; boot: string; space: string; machine: Machine};
type Machine = {name: string; id: string; cards: string};

const page = v.object({bytes: text, cells: count, top: count, separator: v.exactOptional(text)});
type Level = {open: v.InferOutput<typeof page>; held?: v.InferOutput<typeof page>; above?: Level};
const level: v.GenericSchema<Level> = v.object({
  open: page,
  held: v.exactOptional(page),
  above: v.exactOptional(v.lazy(() => level)),
});
const tree = v.object({
  ...{name: text, chunks: count, bytes: count, records: count, inner: level},
  lastRowid: v.exactOptional(v.pipe(text, v.regex(/^-?\d+$/))),
});
const recordSchema = v.object({
  version: v.picklist([1, 2, 3]),
  plan: text,
  skeleton: text,
  owner: v.object({
    ...{pid: count, startedAt: text, boot: text, space: text},
    machine: v.object({name: text, id: text, cards: text}),
  }),
  state: v.object({pages: count, done: v.array(text), tree: v.exactOptional(tree)}),
  deltas: v.exactOptional(v.object({steps: v.array(v.tuple([count, count])), isMoving: v.boolean()})),
  indexes: v.exactOptional(
    v.object({
      ...{isLanded: v.boolean(), isWriting: v.boolean(), header: text, bytes: count},
      ...{built: v.array(text), notices: v.array(text), lost: v.array(text)},
    }),
  ),
  loaded: v.array(v.tuple([text, count])),
});

const mark = '.bkp-stage-';
const ending = '.json';

export function stagingPath(database: string, id: string): string {
  return join(dirname(database), `${basename(database)}${mark}${id}`);
}

export async function saveRecord(staged: string, record: StagingRecord): Promise<void> {
  const path = staged + ending;
  await replaceFile(path, JSON.stringify(record), {temporary: `${path}.new`, mode: 0o600, durable: true});
  await syncFolder(dirname(path));
}

/** From now on, nothing continues the staging file, even if the machine loses power. */
export function removeRecord(staged: string): void {
  if (!existsSync(staged + ending)) return;
  rmSync(staged + ending);
  syncFolderSync(dirname(staged));
}

/** A copy of living tables, in which a dry run carries out what it is to report. */
export const rehearsalPath = (staged: string) => `${staged}-rehearsal`;
/** The staging file of that copy. */
export const rehearsalStagingPath = (staged: string) => `${rehearsalPath(staged)}-stage`;

/** Removes a staging file with all that belongs to it. */
export function removeStaging(staged: string): void {
  // Without its record, nothing continues the file.
  for (const end of [ending, `${ending}.new`]) rmSync(staged + end, {force: true});
  for (const path of [rehearsalStagingPath(staged), rehearsalPath(staged), staged]) removeDatabase(path);
}

/** @returns undefined if there is none, or not one of this version */
export function readRecord(staged: string): StagingRecord | undefined {
  try {
    return parsedJson<StagingRecord>(recordSchema, readPlainFile(staged + ending), (why) => new Error(why));
  } catch {
    return undefined;
  }
}

/**
 * The staging files beside a database whose process has ended.
 * @returns their paths with their records
 */
export function leftStagings(
  database: string,
  processes: Processes,
): readonly {staged: string; record: StagingRecord}[] {
  const prefix = basename(database) + mark;
  return readdirSync(dirname(database))
    .filter((name) => name.startsWith(prefix) && name.endsWith(ending))
    .flatMap((name) => {
      const staged = join(dirname(database), name.slice(0, -ending.length));
      const record = readRecord(staged);
      if (record === undefined || !hasEnded(record, processes)) return [];
      if (existsSync(staged)) return [{staged, record}];
      // Another process took the file over, and was interrupted before it removed this.
      removeStaging(staged);
      return [];
    });
}

function hasEnded({owner}: StagingRecord, processes: Processes): boolean {
  const fate = processes.fateOf(owner);
  return fate === 'gone' || fate === 'replaced' || fate === 'rebooted';
}
