import {BkpError} from '../errors/index.ts';
import type {ChunkId, Finding, Recipe, VaultReader} from '../vault/index.ts';

/** A finding names at most this many parts of the same backups: a database has thousands of files. */
const mostListedParts = 20;

/** Knows which parts (tables, files) of which backups use the chunks that VERIFY has findings about. */
export class ChunkUses {
  /** The chunks that findings are about; uses of other chunks are not kept. */
  readonly wanted: ReadonlySet<ChunkId>;
  /** For each chunk its parts, for each part the labels of its backups. */
  readonly #uses = new Map<ChunkId, Map<string, string[]>>();

  constructor(findings: readonly Finding[]) {
    this.wanted = new Set(findings.flatMap(chunksOf));
  }

  /** @returns a function that notes a chunk as used by a part (a table, a file) of a backup */
  noterOf({part, backup}: {part: string; backup: string}): (chunk: ChunkId) => void {
    return (chunk) => {
      if (!this.wanted.has(chunk)) return;
      const parts = this.#uses.get(chunk) ?? new Map<string, string[]>();
      this.#uses.set(chunk, parts);
      const backups = parts.get(part) ?? [];
      parts.set(part, backups);
      if (backups.at(-1) !== backup) backups.push(backup);
    };
  }

  /** `orders, products of shop/20250215120000Z_full: …`, or the finding's own text if no part is known to use it. */
  describe(finding: Finding): string {
    const partsOf = new Map<string, Set<string>>();
    for (const [part, backups] of chunksOf(finding).flatMap((chunk) => [...(this.#uses.get(chunk) ?? [])])) {
      const labels = backups.join(', ');
      partsOf.set(labels, (partsOf.get(labels) ?? new Set()).add(part));
    }
    const uses = [...partsOf].map(([labels, parts]) => `${shortened([...parts])} of ${labels}`);
    return [...(uses.length === 0 ? [] : [uses.join(' and ')]), finding.detail].join(': ');
  }
}

const chunksOf = ({chunk, needed}: Finding) => (chunk === undefined ? (needed ?? []) : [chunk]);

function shortened(parts: readonly string[]): string {
  const more = parts.length - mostListedParts;
  return parts.slice(0, mostListedParts).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/**
 * The chunk ids in the recipe itself and on the levels below it, as far as the lists can be read.
 * @param levels how many levels below; `recipe.depth` reaches the chunks of the stream
 */
export async function readableChunkIds(
  vault: VaultReader,
  recipe: Recipe,
  levels = recipe.depth,
): Promise<readonly ChunkId[]> {
  const found = [...recipe.chunks];
  for (let depth = 1; depth <= levels; depth++) {
    try {
      for (const id of await vault.chunkIds({...recipe, depth})) found.push(id);
    } catch (error) {
      if (error instanceof BkpError) break;
      throw error;
    }
  }
  return found;
}
