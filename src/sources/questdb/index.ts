import type {CheckpointSource, FileTarget} from '../file-source.ts';
import {QuestDbTarget, type QuestDbTargetOptions} from './restore/target.ts';
import type {Processes} from './server/holder.ts';
import {QuestDbSource, type QuestDbSourceOptions} from './source.ts';

export type {Processes, QuestDbSourceOptions, QuestDbTargetOptions};

/** Opens nothing yet. @throws BkpError `USAGE` for an address or credentials that cannot be */
export function openQuestDbSource(options: QuestDbSourceOptions, processes?: Processes): CheckpointSource {
  return new QuestDbSource(options, processes);
}

/** Touches nothing yet. */
export function openQuestDbTarget(options: QuestDbTargetOptions): FileTarget {
  return new QuestDbTarget(options);
}
