import type {CheckpointSource, FileTarget} from '../file-source.ts';
import {QuestDbTarget, type QuestDbTargetOptions} from './restore/target.ts';
import type {Processes} from './server/holder.ts';
import {QuestDbSource, type QuestDbSourceOptions} from './source.ts';

export type {Processes, QuestDbSourceOptions, QuestDbTargetOptions};

/** Opens nothing yet. @throws BkpError `USAGE` for an invalid address or invalid credentials */
export function openQuestDbSource(options: QuestDbSourceOptions, processes?: Processes): CheckpointSource {
  return new QuestDbSource(options, processes);
}

/** Writes nothing yet. */
export function openQuestDbTarget(options: QuestDbTargetOptions): FileTarget {
  return new QuestDbTarget(options);
}
