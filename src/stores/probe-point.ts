/** One thing that a probe of a store checked, in words. */
export type ProbePoint = {what: string; ok: boolean; detail: string; next?: string};
