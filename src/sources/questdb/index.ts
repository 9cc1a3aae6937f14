import type {FileSource, FileTarget} from '../file-source.ts';
import {QuestDbTarget, type QuestDbTargetOptions} from './restore/target.ts';
import type {Processes} from './server/holder.ts';
import {type HeldCheckpoint, QuestDbSource, type QuestDbSourceOptions} from './source.ts';

export type {HeldCheckpoint, Processes, QuestDbSourceOptions, QuestDbTargetOptions};

/** A FileSource that also tells of its server: a checkpoint that is held, the version, what keeps a backup from beginning. */
export type QuestDbFileSource = FileSource & {
  heldCheckpoint: () => Promise<HeldCheckpoint | undefined>;
  version: () => Promise<string | undefined>;
  complaints: () => Promise<string[]>;
  releaseDead: () => Promise<string | undefined>;
  createCheckpoint: () => Promise<void>;
  releaseCheckpoint: () => Promise<void>;
};

/** Opens nothing yet. @throws BkpError `USAGE` for an address or credentials that cannot be */
export function openQuestDbSource(options: QuestDbSourceOptions, processes?: Processes): QuestDbFileSource {
  return new QuestDbSource(options, processes);
}

/** Touches nothing yet. */
export function openQuestDbTarget(options: QuestDbTargetOptions): FileTarget {
  return new QuestDbTarget(options);
}
