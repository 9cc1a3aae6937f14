import type {Store} from '../../stores/index.ts';
import type {Entry} from '../format/entry.ts';
import {packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import type {Recovery} from '../read/recovery.ts';
import type {StreamReader} from '../read/stream-reader.ts';
import type {PackId, VerifyLevel} from '../types.ts';
import type {Findings} from './findings.ts';

/** What the checks of one verification share. */
export type PackCheck = {
  store: Store;
  index: ChunkIndex;
  reader: StreamReader;
  recovery: Recovery;
  findings: Findings;
  level: VerifyLevel;
  signal: AbortSignal | undefined;
};

export type PackContent = {pack: PackId; lengthBytes: number; table: readonly Entry[]};

/** The length and the table of a pack say nothing about damage in its data, so an earlier verification counts. */
export function addNotedDamage({findings}: PackCheck, pack: PackId, chunks: readonly Location[]): void {
  const detail =
    `an earlier VERIFY found pack ${pack} damaged; ` +
    `VERIFY with LEVEL='data' checks whether it has been repaired since`;
  findings.add({what: 'damaged', key: packKey(pack), pack, needed: chunks.map(({id}) => id), detail});
}
