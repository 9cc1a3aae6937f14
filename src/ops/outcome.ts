import {asPlain, type PlainError} from '../errors/index.ts';
import type {OperationIssue, OperationOutcome, OperationResult} from './operation.ts';

/** Keeps an operation's row small, however much a verification finds; the log file has everything. */
const mostDetails = 100;

/** @returns the outcome of work that returned: PARTIAL if its result names something that is missing */
export function delivered(result: OperationResult): OperationOutcome {
  const {missing} = result;
  return missing === undefined ? {status: 'SUCCESS', result} : {status: 'PARTIAL', result: {...result, missing}};
}

/** @returns the outcome of work that threw: the first issue is the error, followed by one for each of its details */
export function failure(thrown: unknown): OperationOutcome {
  const error = shortened(asPlain(thrown));
  const details = (error.details ?? []).map((message) => ({message}));
  return {status: 'ERROR', error, issues: [issueOf(error), ...details], result: {}};
}

function shortened(error: PlainError): PlainError {
  const {details = []} = error;
  if (details.length <= mostDetails) return error;
  const more = `and ${details.length - mostDetails} more; the operation's log has them all`;
  return {...error, details: [...details.slice(0, mostDetails), more]};
}

function issueOf({message, code, cause, next}: PlainError): OperationIssue {
  return {message, code, ...(cause === undefined ? {} : {cause}), ...(next === undefined ? {} : {next})};
}
