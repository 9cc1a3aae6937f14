import {unreachable} from '../errors/index.ts';
import {isBackupKind} from './kinds.ts';
import type {MissingPart, Operation, OperationIssue, OperationResult} from './operation.ts';

// What an operation is, for every rendering: its status, phase, issues and result.

export type OperationStatus = 'PROGRESS' | 'SUCCESS' | 'PARTIAL' | 'CANCELLED' | 'ERROR';

export function statusOf({state}: Operation): OperationStatus {
  switch (state.name) {
    case 'queued':
    case 'running':
      return 'PROGRESS';
    case 'done':
      return state.outcome.status;
    default:
      return unreachable(state);
  }
}

/** Whether it ended with a result: all that was asked for, or a part of it. */
export function hasResult(operation: Operation): boolean {
  const status = statusOf(operation);
  return status === 'SUCCESS' || status === 'PARTIAL';
}

/** @returns one word: `Preparing`, `TransferData`, another phase of the work, `Cancellation`, `Cancelled`, `Done` */
export function phaseOf({state, progress}: Operation): string {
  switch (state.name) {
    case 'queued':
      return 'Preparing';
    case 'running':
      return state.cancelRequested ? 'Cancellation' : progress.phase || 'Preparing';
    case 'done':
      return state.outcome.status === 'CANCELLED' ? 'Cancelled' : 'Done';
    default:
      return unreachable(state);
  }
}

const phasesWithoutPercent = ['Preparing', 'Cancellation', 'Cancelled', 'Done'];

/** Whether the percentage says something in this phase. */
export function hasPercent(phase: string): boolean {
  return !phasesWithoutPercent.includes(phase);
}

/** @returns the notices of a done operation; they are no part of its error */
export function noticesOf({state}: Operation): readonly OperationIssue[] {
  return state.name === 'done' ? (state.outcome.result.notices ?? []).map((message) => ({message})) : [];
}

/** @returns the errors of a failed operation or what a partial one lacks, then the notices; empty if there are none */
export function issuesOf(operation: Operation): readonly OperationIssue[] {
  const notices = noticesOf(operation);
  const {state} = operation;
  if (state.name !== 'done') return [];
  const {outcome} = state;
  if (outcome.status === 'PARTIAL') return [...outcome.result.missing.map(missingIssue), ...notices];
  if (outcome.status !== 'ERROR') return notices;
  const {message, code, cause, next} = outcome.error;
  const own: OperationIssue = {
    message,
    code,
    ...(cause === undefined ? {} : {cause}),
    ...(next === undefined ? {} : {next}),
  };
  return [...(outcome.issues.length > 0 ? outcome.issues : [own]), ...notices];
}

const missingIssue = ({name, why}: MissingPart): OperationIssue => ({message: `${name} is missing: ${why}`});

/** @returns `{}` until the operation is done */
export function resultOf({state}: Operation): OperationResult {
  return state.name === 'done' ? state.outcome.result : {};
}

/** @returns the backup that the operation made, makes or reads; undefined for a backup that failed or was cancelled */
export function backupOf(operation: Operation): string | undefined {
  const {kind, state, backup} = operation;
  const isUnmade = state.name === 'done' && state.outcome.status !== 'SUCCESS' && isBackupKind(kind);
  return resultOf(operation).backup ?? (isUnmade ? undefined : backup);
}
