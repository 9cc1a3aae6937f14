import * as v from 'valibot';
import {profileName} from '../../config/index.ts';
import {asPlain, renderError} from '../../errors/index.ts';
import {failure, isSameSubject, type NewOperation, type Operation, openLog, type Subject} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {allOperations} from './all-operations.ts';
import {userName} from './start.ts';

export type About = Pick<NewOperation, 'kind' | 'subject' | 'statement'>;

/** The `work` of an operation that was refused: no worker ever gets it. */
const refusedSchema = v.object({refused: v.literal(true), profile: v.optional(v.string())});

/** @returns undefined unless the operation is a statement that was refused */
export function refusalOf({work}: Pick<Operation, 'work'>): {profile?: string | undefined} | undefined {
  const {output, success} = v.safeParse(refusedSchema, work);
  return success ? output : undefined;
}

/**
 * Adds an operation that has failed with this error, and sends its notifications. Never throws: the error itself
 * matters more.
 * @param about.refusedSinceMs do nothing if a refusal was recorded since then: a timer tries again every few minutes
 */
export async function recordRefusal(
  deps: Deps,
  {refusedSinceMs, ...about}: About & {refusedSinceMs?: number | undefined},
  error: unknown,
): Promise<void> {
  try {
    if (refusedSinceMs !== undefined && (await isKnown(deps, about, refusedSinceMs))) return;
    const journal = await deps.journal();
    const work = {refused: true, profile: await profileName(deps)};
    // Shared, because it may be refused while another operation changes the subject.
    const {number, logFile} = await journal.create({...about, shared: true, work, createdBy: userName(deps)});
    if (!(await journal.finish(number, failure(error)))) return;
    const log = openLog(logFile, deps.nowMicros);
    log.write(`refused: ${renderError(asPlain(error))}`);
    log.close();
    await deps.tellEnd?.(await journal.get(number));
  } catch (fault) {
    deps.warn(`this attempt is not in the journal: ${asPlain(fault).message}`);
  }
}

async function isKnown(deps: Deps, {kind, subject}: About, sinceMs: number): Promise<boolean> {
  const operations = await allOperations(await deps.journal(), [kind]);
  return operations.some(
    (operation) =>
      isSameSubject(operation.subject, subject) &&
      refusalOf(operation) !== undefined &&
      operation.createdAtMicros / 1000 >= sinceMs,
  );
}

/** Whether this home ever had an operation on the subject. */
export async function hasHistory(deps: Deps, subject: Subject): Promise<boolean> {
  for await (const batch of (await deps.journal()).batches())
    if (batch.some((operation) => isSameSubject(operation.subject, subject))) return true;
  return false;
}
