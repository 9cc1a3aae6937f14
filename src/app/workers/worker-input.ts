import * as v from 'valibot';
import {count, parsedJson} from '../../lib/schema.ts';
import type {OperationNumber} from '../../ops/index.ts';
import {openedSlots} from '../../vault/index.ts';

const schema = v.object({
  number: v.pipe(
    count,
    v.transform((number) => number as OperationNumber),
  ),
  /** How low the priority of a longer operation is: 1 to 19. Absent: normal. */
  niceness: v.optional(v.number()),
  /** What opens encrypted vaults. */
  slots: openedSlots,
});

/** What a worker is told once it has an operation. It has keys, so it passes through a pipe. */
export type WorkerInput = v.InferOutput<typeof schema>;

export const workerInput = (input: WorkerInput): string => JSON.stringify(input);

/** Throws if it is something else. */
export const parseWorkerInput = (text: string): WorkerInput => parsedJson(schema, text, (why) => new Error(why));
