import type {Key} from './store.ts';

/** One thing that a probe of a store checked, in words. */
export type ProbePoint = {what: string; ok: boolean; detail: string; next?: string};

/**
 * The object that a probe writes. Always the same name and bytes: with a key that may not remove it, repeated probes
 * leave only one small object behind.
 */
export const probeKey: Key = 'probe/object';
