import {formatCount} from '../../lib/figures.ts';
import type {DatabaseFacts, MergedTable, Snapshot, TableSchema, TableSource} from '../../sources/index.ts';

const mostExamples = 3;

/**
 * How the tables of a snapshot differ from those in the scratch database, a sentence for each table: how many rows, and
 * the keys of some of them.
 */
export async function describeDifferences(
  {snapshot, scratch, signal}: {snapshot: Snapshot; scratch: TableSource; signal: AbortSignal},
  {schemas, database}: {schemas: readonly TableSchema[]; database: DatabaseFacts},
): Promise<readonly string[]> {
  // The rows of the source are staged beside the scratch database, and not brought into it.
  const staging = await scratch.stage(schemas, {id: 'now', database, mode: 'replace'});
  try {
    for (const {name} of schemas) {
      const base = await snapshot.base(name, {form: 'rows'});
      if (base.form !== 'rows') continue;
      for await (const {bytes, release} of base.rows) {
        signal.throwIfAborted();
        await staging.load(name, bytes);
        release?.();
      }
    }
    await staging.finish({check: 'quick', signal});
    return (await staging.compare({examples: mostExamples})).map(sentenceOf);
  } finally {
    await staging.discard();
  }
}

function sentenceOf({name, inserted, updated, deleted, examples}: MergedTable): string {
  const part = (rows: number, what: string, keys: readonly string[] = []) => {
    const more = rows > keys.length ? ['…'] : [];
    const named = keys.length === 0 ? '' : ` (${[...keys, ...more].join('; ')})`;
    return rows === 0 ? [] : [`${formatCount(rows, 'row')} ${what}${named}`];
  };
  const parts = [
    ...part(inserted, 'only in the source', examples?.inserted),
    ...part(updated, 'with other values', examples?.updated),
    ...part(deleted, 'only in the backup and its changes', examples?.deleted),
  ];
  return `${name}: ${parts.length === 0 ? 'equal rows in another form' : parts.join(', ')}`;
}
