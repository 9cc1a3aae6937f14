import type {DeltaProgress} from './delta-progress.ts';
import {IndexBuilder, indexesOf, type RestoredIndex} from './index-builder.ts';
import type {IndexProgress} from './index-progress.ts';
import type {LoadedBytes} from './loaded-bytes.ts';
import type {StagedTable} from './stage-table.ts';
import type {StagingFile} from './staging-file.ts';
import type {StagingNotes} from './staging-notes.ts';
import type {IndexState} from './staging-record.ts';
import type {Stepper} from './stepper.ts';

/** A staging after all trees, rows and keys. */
export type LoadedStaging = {
  file: StagingFile;
  tables: readonly StagedTable[];
  loaded: LoadedBytes;
  /** Present if another process may continue, and then `deltas` if rows or keys were applied. */
  notes: StagingNotes | undefined;
  deltas: DeltaProgress | undefined;
  /** What an ended process left of this phase. */
  left: IndexState | undefined;
};

export type BuiltIndexes = {
  builder: IndexBuilder;
  /** Those that were laid out, with the entries of the source. */
  laid: Map<string, RestoredIndex>;
  /** Whether a record says that the file is complete. */
  isRecorded: boolean;
};

/** Moves all rows into their tables and builds the indexes that were not laid out. */
export async function buildIndexes(
  staging: LoadedStaging,
  {step, notice: tell}: {step: Stepper; notice: (text: string) => void},
): Promise<BuiltIndexes> {
  const {file, tables, loaded, notes, deltas, left} = staging;
  const notices: string[] = [];
  const notice = (text: string) => {
    notices.push(text);
    tell(text);
  };
  const builder = new IndexBuilder(file, loaded, notice);
  const report = () => ({notices, lost: [...builder.lost]});
  // Absent where all is repeated.
  const progress = deltas && notes?.ofIndexes({steps: deltas.steps, left, report});
  for (const text of left?.notices ?? []) notice(text);
  for (const sql of left?.lost ?? []) builder.lost.add(sql);
  await land(staging, progress);
  const laid = new Map<string, RestoredIndex>();
  for (const {schema, table, plan} of tables) {
    await step('Indexes');
    const bytes = loaded.of(schema.name);
    for (const index of indexesOf(file.connection, table, schema)) {
      await step('Indexes');
      if (plan?.indexes.has(index.name)) laid.set(index.name, index);
      else if (progress === undefined) builder.build(index);
      else if (!progress.has(index.name)) await progress.build(index.name, bytes, () => builder.build(index));
    }
  }
  await progress?.end();
  return {builder, laid, isRecorded: progress !== undefined};
}

/** Moves all rows into their tables. */
async function land(
  {file, tables, notes, deltas, left}: LoadedStaging,
  progress: IndexProgress | undefined,
): Promise<void> {
  const landAll = () => {
    for (const {landing} of tables) landing?.land();
  };
  if (progress === undefined) {
    // Indexes change pages that a record of rows and keys names. Without these, all that follows does not.
    if (deltas !== undefined) notes?.end();
    file.connection.exec('DETACH seg');
    file.beginIndexes();
    landAll();
    return;
  }
  if (left === undefined) {
    await deltas!.checkpoint();
    file.connection.exec('DETACH seg');
    file.endLoggedDeltas();
  }
  await progress.begin(landAll);
}
