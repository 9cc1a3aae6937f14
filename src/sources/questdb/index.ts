import type {FileSource, FileTarget} from '../file-source.ts';
import {type HeldCheckpoint, QuestDbSource, type QuestDbSourceOptions} from './source.ts';
import {QuestDbTarget, type QuestDbTargetOptions} from './target.ts';

export type {HeldCheckpoint, QuestDbSourceOptions, QuestDbTargetOptions};

/** A FileSource that also tells of a checkpoint that is held, and which version the server has, if it answers. */
export type QuestDbFileSource = FileSource & {
  heldCheckpoint: () => Promise<HeldCheckpoint | undefined>;
  version: () => Promise<string | undefined>;
};

/** Opens nothing yet. @throws BkpError `USAGE` for an address or credentials that cannot be */
export function openQuestDbSource(options: QuestDbSourceOptions): QuestDbFileSource {
  return new QuestDbSource(options);
}

/** Touches nothing yet. */
export function openQuestDbTarget(options: QuestDbTargetOptions): FileTarget {
  return new QuestDbTarget(options);
}
