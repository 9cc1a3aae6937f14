import {parse} from '../../sql/index.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {Deps} from '../deps.ts';
import {startedRow} from '../sql/answers.ts';
import {runStatements, tell} from '../sql/run.ts';
import {startCleanup} from '../worker/start.ts';
import {workplaceOf} from '../workplace.ts';

export function runStatement(deps: Deps, statement: string, {format}: {format: RowFormat}): Promise<void> {
  return runStatements(deps, parse(statement), {wait: false, format});
}

export type CleanupOptions = {wait: boolean; format: RowFormat};

export async function runCleanup(deps: Deps, {wait, format}: CleanupOptions): Promise<void> {
  const place = await workplaceOf(deps);
  const about = {subject: `cluster ${place.cluster}`, statement: 'bkp collection cleanup'};
  const operation = await startCleanup(deps, {do: 'cleanup', place}, about);
  await tell(deps, {operation, rows: startedRow(operation)}, {wait, format});
}
