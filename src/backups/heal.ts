import {formatBytes, formatCount} from '../lib/figures.ts';
import type {ChunkId, Recipe, Vault, VaultReader, Verification, VerifyOptions} from '../vault/index.ts';
import {leastBudgetBytes} from './budget.ts';
import type {WorkTools} from './tools.ts';

/** Rounds of healing: a list of chunks that comes back may name chunks that are lost too. */
const roundsAtMost = 5;

/** For the lists that a budget includes: so that all new packs are read again. */
const slackBytes = leastBudgetBytes;

export type HealTools = Pick<WorkTools, 'signal' | 'notice' | 'progress'> & {
  vault: Vault;
  /** Vaults that may have what this one has lost. */
  from: readonly VaultReader[];
  /** The id of the operation. */
  operation: string;
};

/**
 * Writes again what a verification found missing or damaged: the chunks that are still intact in a damaged pack, and
 * the others from the other vaults. Objects are never changed: the chunks come into new packs, and the damaged pack
 * keeps its note, so nothing relies on it.
 * @returns the verification after that: what is still in it could not be healed
 */
export async function heal(
  {vault, from, operation, signal, notice, progress}: HealTools,
  recipes: readonly Recipe[],
  {found, options}: {found: Verification; options: VerifyOptions},
): Promise<Verification> {
  let current = found;
  for (let round = 0; round < roundsAtMost && current.unreliable.length > 0; round++) {
    signal.throwIfAborted();
    progress({phase: 'Heal', bytesDone: 0, itemsDone: 0, itemsTotal: current.unreliable.length});
    const {healed, storedBytes} = await write(current);
    // Without a chunk it is an index, of packs that an interrupted process left without one.
    if (storedBytes === 0) break;
    const where = from.map(({location}) => location).join(', ');
    if (healed > 0)
      notice(`healed: ${formatCount(healed, 'chunk')}, ${formatBytes(storedBytes)} stored again; read from ${where}`);
    // Of a level that reads data, new packs are read first, because they were never verified.
    const budget = current.areListsRead && options.level === 'data' ? {bytes: storedBytes + slackBytes} : undefined;
    const next = await vault.uncached().verify(recipes, {...options, budget});
    current = {...next, readBytes: current.readBytes + next.readBytes};
  }
  return current;

  async function write({findings, unreliable}: Verification) {
    const writer = await vault.writer({purpose: `operation ${operation}`}, {signal});
    try {
      const gone = new Set<ChunkId>(findings.flatMap(({chunk}) => chunk ?? []));
      const {healed: own} = await writer.heal(
        unreliable.filter((id) => !gone.has(id)),
        [vault],
      );
      const {healed} = await writer.heal(unreliable, from);
      return {healed: own + healed, storedBytes: writer.stats.storedBytes};
    } finally {
      await writer.close();
    }
  }
}
