import * as v from 'valibot';
import {count, parsedJson} from '../../lib/schema.ts';
import type {LeaseSubject} from '../types.ts';
import type {Host} from './host.ts';

/** How long an unchanged lease is trusted: longer than a busy machine or a slow store delays a renewal. */
export const leaseTtlMs = 120_000;

export type LeaseMode = 'writer' | 'collector';

export type LeaseContent = {
  version: 1;
  mode: LeaseMode;
  state: 'acquiring' | 'held';
  purpose: string;
  subject?: string | undefined;
  host: {name: string; space?: string | undefined; pid: number; started?: string | undefined};
  since: string;
  renewal: number;
  ttlMs: number;
};

/** The content of a lease that is being acquired. */
export function firstContent(
  mode: LeaseMode,
  {purpose, subject}: LeaseSubject,
  {host, wallMs, ttlMs}: {host: Host; wallMs: number; ttlMs: number},
): LeaseContent {
  const {name, space, pid, started} = host;
  return {
    version: 1,
    mode,
    state: 'acquiring',
    purpose,
    subject,
    host: {name, space, pid, started},
    since: new Date(wallMs).toISOString(),
    renewal: 0,
    ttlMs,
  };
}

export const encodeLease = (content: LeaseContent): Uint8Array => Buffer.from(`${JSON.stringify(content)}\n`);

const leaseSchema = v.object({
  version: v.literal(1),
  mode: v.picklist(['writer', 'collector']),
  state: v.picklist(['acquiring', 'held']),
  purpose: v.string(),
  subject: v.exactOptional(v.string()),
  host: v.object({
    name: v.string(),
    space: v.exactOptional(v.string()),
    pid: count,
    started: v.exactOptional(v.string()),
  }),
  since: v.string(),
  renewal: count,
  ttlMs: v.pipe(count, v.minValue(1)),
});

/** @returns undefined for bytes that are not a lease */
export function parseLease(bytes: Uint8Array): LeaseContent | undefined {
  try {
    return parsedJson<LeaseContent>(leaseSchema, Buffer.from(bytes).toString(), (why) => new Error(why));
  } catch {
    return undefined;
  }
}
