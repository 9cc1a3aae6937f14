import type {WorkTools} from '../../backups/index.ts';
import type {DatabaseMoment, FileSource, Frozen} from '../../sources/index.ts';
import type {VaultWriter} from '../../vault/index.ts';
import type {Catalog} from '../stored/catalog.ts';
import {noticeCheck} from './check-notice.ts';
import {type Copied, copyFiles} from './copy-files.ts';

/** `damage`: how many faults the database's own check found. */
export type CopiedMoment = Copied & {
  damage: number;
  database: DatabaseMoment;
  takenAtMicros: number;
  heldMicros: number;
};

/**
 * Copies the files of one point in time into the vault. The database is held at that point only while files are
 * read: lists, packs and the manifest are written after its release.
 */
export async function copyMoment(
  tools: WorkTools & {source: FileSource},
  writer: VaultWriter,
  request: {operation: string; differences?: boolean | undefined},
  parent: Catalog | undefined,
): Promise<CopiedMoment> {
  const {source, signal, notice} = tools;
  const began = tools.nowMicros();
  const frozen = await source.freeze({hold: request.operation, signal, notice, nowMicros: tools.nowMicros});
  try {
    const copied = await copyFiles(tools, writer, frozen, {parent, differences: request.differences ?? false});
    const found = await frozen.check?.({signal});
    await frozen.confirm();
    noticeCheck(found, notice, 'the database, which was backed up as it is');
    return {
      ...copied,
      damage: found?.damage.length ?? 0,
      database: frozen.facts,
      takenAtMicros: frozen.takenAtMicros,
      heldMicros: Math.max(0, Math.floor(tools.nowMicros() - began)),
    };
  } finally {
    await release(frozen, notice);
  }
}

/** A failing release neither fails the backup nor hides another error. */
async function release(frozen: Frozen, notice: (text: string) => void): Promise<void> {
  try {
    await frozen.release();
  } catch (error) {
    notice(`the database was not informed that the backup has ended: ${(error as Error).message}`);
  }
}
