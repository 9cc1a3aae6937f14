import {BkpError} from '../errors/index.ts';
import type {
  Coverage,
  Recipe,
  VaultReader,
  Verification,
  VerifyBudget,
  VerifyLevel,
  VerifyOptions,
} from '../vault/index.ts';
import type {WorkTools} from './tools.ts';
import {unneededNotice} from './unneeded-notice.ts';
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
  /** Repairs what was found; absent: damage is only reported. */
  heal?: Heal | undefined;
};

/** @returns the verification after healing */
export type Heal = (
  recipes: readonly Recipe[],
  verification: {found: Verification; options: VerifyOptions},
) => Promise<Verification>;

/** How much is verified. `budget`: absent: everything. */
export type VerifyExtent = {level: VerifyLevel; budget?: VerifyBudget | undefined};

export type Verified<Backup> = {backups: readonly Backup[]; readBytes: number; coverage: Coverage};

/**
 * Reads the manifests and checks everything that the backups need, or as much of it as the budget allows.
 * @param vault must not answer from copies
 * @throws BkpError `DAMAGE_FOUND` with one detail for each fault: parts and backups, chunk, pack, what is wrong
 */
export async function verifyEach<Name, Backup>(
  {vault, signal, progress, notice}: Pick<WorkTools, 'signal' | 'progress' | 'notice'> & {vault: VaultReader},
  {level, budget}: VerifyExtent,
  verifiable: Verifiable<Name, Backup>,
): Promise<Verified<Backup>> {
  const startBytes = vault.readBytes;
  const {subject, names, labelOf, read, streamsOf, noteUses, next, heal} = verifiable;
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
  const left = budget?.bytes && Math.max(budget.bytes - (vault.readBytes - startBytes), 0);
  const recipes = backups.flatMap(({backup}) => streamsOf(backup));
  const options: VerifyOptions = {
    level,
    budget: budget && {...budget, bytes: left},
    signal,
    progress: (bytesDone, bytesTotal) =>
      progress({phase: 'Check', bytesDone, bytesTotal, itemsDone: 0, itemsTotal: backups.length}),
  };
  const found = await vault.verify(recipes, options);
  const isHealed = heal !== undefined && found.findings.length > 0;
  const {findings, harmless, coverage, unrecorded} = isHealed ? await heal(recipes, {found, options}) : found;
  if (unrecorded !== undefined) notice(`what was verified is not recorded in the store: ${unrecorded.message}`);
  const unneeded = unneededNotice(harmless);
  if (unneeded !== undefined) notice(unneeded);
  const uses = new ChunkUses(findings);
  for (const {label, backup} of backups) {
    signal.throwIfAborted();
    // Reads the lists of each backup, which a budget does not include.
    if (budget !== undefined && findings.length === 0) break;
    const fault = await noteUses(backup, uses, label);
    // If there are findings, the fault may be no more than their effect.
    if (fault !== undefined && findings.length === 0) faults.push(`${label}: ${fault}`);
  }
  faults.push(...findings.map((finding) => uses.describe(finding)));
  if (faults.length > 0) throw damageFound(subject, faults, next);
  return {
    backups: backups.map(({backup}) => backup),
    readBytes: vault.readBytes - startBytes,
    coverage,
  };
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
