import type {Store} from '../../stores/index.ts';
import type {Entry} from '../format/entry.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
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
