import type {CheckpointSource, FileTarget} from '../file-source.ts';
import type {RestoredDatabase} from '../restored-database.ts';
import {RestoredQuestDb} from './restore/restored.ts';
import {QuestDbTarget, type QuestDbTargetOptions} from './restore/target.ts';
import type {ServerCommand} from './server/ephemeral.ts';
import type {Processes} from './server/holder.ts';
import {QuestDbSource, type QuestDbSourceOptions} from './source.ts';

export {endLeftoverServer} from './server/ephemeral.ts';
export type {Processes, QuestDbSourceOptions, QuestDbTargetOptions, ServerCommand};

/** Opens nothing yet. @throws BkpError `USAGE` for an invalid address or invalid credentials */
export function openQuestDbSource(options: QuestDbSourceOptions, processes?: Processes): CheckpointSource {
  return new QuestDbSource(options, processes);
}

/** Writes nothing yet. */
export function openQuestDbTarget(options: QuestDbTargetOptions): FileTarget {
  return new QuestDbTarget(options);
}

/** Starts nothing yet. @param command starts a server on the root; absent: only its files are examined */
export function openRestoredQuestDb(root: string, command?: ServerCommand): RestoredDatabase {
  return new RestoredQuestDb(root, command);
}
