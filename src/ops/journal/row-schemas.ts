import * as v from 'valibot';
import type {Machine} from '../../lib/processes.ts';
import {count, text} from '../../lib/schema.ts';
import type {Limits, OperationOutcome} from '../operation.ts';

// The JSON columns of the journal; the types are in operation.ts and lib/processes.ts.

const texts = v.pipe(v.array(text), v.readonly());
const error = v.object({
  code: text,
  status: text,
  message: text,
  details: v.optional(texts),
  cause: v.optional(text),
  next: v.optional(text),
  stack: v.optional(text),
});
const issue = v.object({
  message: text,
  code: v.exactOptional(text),
  cause: v.exactOptional(text),
  next: v.exactOptional(text),
});
const mergedRows = v.object({name: text, inserted: count, updated: count, deleted: count, kept: count});
const part = v.object({name: text, why: text});
const parts = v.pipe(v.array(part), v.readonly());
const resultEntries = {
  backup: v.exactOptional(text),
  rows: v.exactOptional(count),
  deletedRows: v.exactOptional(count),
  logicalBytes: v.exactOptional(count),
  storedBytes: v.exactOptional(count),
  freedBytes: v.exactOptional(count),
  readBytes: v.exactOptional(count),
  neededBytes: v.exactOptional(count),
  neverVerifiedBytes: v.exactOptional(count),
  oldestVerifiedAt: v.exactOptional(text),
  instance: v.exactOptional(text),
  files: v.exactOptional(count),
  cleanup: v.exactOptional(v.picklist(['complete', 'failed'])),
  cleanupError: v.exactOptional(text),
  merged: v.exactOptional(v.pipe(v.array(mergedRows), v.readonly())),
  notices: v.exactOptional(texts),
};
const result = v.object({...resultEntries, missing: v.exactOptional(parts)});

export const outcomeSchema = v.variant('status', [
  v.object({status: v.literal('SUCCESS'), result}),
  v.object({status: v.literal('PARTIAL'), result: v.object({...resultEntries, missing: parts})}),
  v.object({status: v.literal('CANCELLED'), result}),
  v.object({status: v.literal('ERROR'), error, issues: v.pipe(v.array(issue), v.readonly()), result}),
]);

export const limitsSchema = v.object({
  uploadBytesPerSecond: v.exactOptional(count),
  downloadBytesPerSecond: v.exactOptional(count),
});

export const machineSchema = v.object({name: text, id: text, cards: text});

/** Fails to compile if a type allows a value that its schema refuses. */
export type AllTaken = [
  Taken<OperationOutcome, v.InferOutput<typeof outcomeSchema>>,
  Taken<Limits, v.InferOutput<typeof limitsSchema>>,
  Taken<Machine, v.InferOutput<typeof machineSchema>>,
];
type Taken<T extends Known, Known> = T;

/** Parsed by the code that carries out the work order. */
export const anything = v.unknown();
