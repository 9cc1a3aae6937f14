import {BkpError} from '../errors/index.ts';
import type {Recipe, VaultReader, VerifyLevel} from '../vault/index.ts';
import type {WorkTools} from './tools.ts';
import {ChunkUses} from './uses.ts';

/** An error lists at most this many faults and counts the others. */
const mostListedFaults = 50;

/** What VERIFY must know of a room's backups. */
export type Verifiable<Name, Backup> = {
  /** Names what is verified in the error. */
  subject: string;
  names: readonly Name[];
  /** How the user knows a backup: `shop/20250215120000Z_full`. */
  labelOf: (name: Name) => string;
  read: (name: Name) => Promise<Backup>;
  streamsOf: (backup: Backup) => readonly Recipe[];
  /**
   * Notes which parts of the backup use the chunks in `uses.wanted`, which may be empty.
   * @returns what is wrong with the backup itself
   */
  noteUses: (backup: Backup, uses: ChunkUses, label: string) => Promise<string | undefined>;
  /** Faults that were found before, each a sentence. */
  faults?: readonly string[];
  /** The next step of the error. */
  next: string;
};

/**
 * Reads the manifests and checks everything that the backups need.
 * @param vault must not answer from copies
 * @throws BkpError `DAMAGE_FOUND` with one detail for each fault: parts and backups, chunk, pack, what is wrong
 */
export async function verifyEach<Name, Backup>(
  {vault, signal, progress}: Pick<WorkTools, 'signal' | 'progress'> & {vault: VaultReader},
  level: VerifyLevel,
  verifiable: Verifiable<Name, Backup>,
): Promise<readonly Backup[]> {
  const {subject, names, labelOf, read, streamsOf, noteUses, next} = verifiable;
  const faults = [...(verifiable.faults ?? [])];
  const backups: {label: string; backup: Backup}[] = [];
  for (const name of names) {
    try {
      backups.push({label: labelOf(name), backup: await read(name)});
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      faults.push(`${labelOf(name)}: ${error.message}`);
    }
  }
  const {findings} = await vault.verify(
    backups.flatMap(({backup}) => streamsOf(backup)),
    {
      level,
      signal,
      progress: (bytesDone, bytesTotal) =>
        progress({phase: 'Check', bytesDone, bytesTotal, itemsDone: 0, itemsTotal: backups.length}),
    },
  );
  const uses = new ChunkUses(findings);
  for (const {label, backup} of backups) {
    signal.throwIfAborted();
    const fault = await noteUses(backup, uses, label);
    // If there are findings, the fault may be no more than their effect.
    if (fault !== undefined && findings.length === 0) faults.push(`${label}: ${fault}`);
  }
  faults.push(...findings.map((finding) => uses.describe(finding)));
  if (faults.length > 0) throw damageFound(subject, faults, next);
  return backups.map(({backup}) => backup);
}

function damageFound(subject: string, faults: readonly string[], next: string): BkpError {
  const more = faults.length - mostListedFaults;
  return new BkpError(
    'DAMAGE_FOUND',
    `${subject}: ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'} found`,
    {
      details: more > 0 ? [...faults.slice(0, mostListedFaults), `… and ${more} more`] : faults,
      next,
    },
  );
}
