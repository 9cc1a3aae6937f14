import {asPlain} from '../../errors/index.ts';

/** The result of one check. */
export type Check = {what: string; ok: boolean; detail: string; next?: string | undefined};

/** Reports a check that throws as failed. */
export async function tried(what: string, check: () => Promise<Check[]>): Promise<Check[]> {
  try {
    return await check();
  } catch (error) {
    const {message, cause, next} = asPlain(error);
    return [{what, ok: false, detail: cause === undefined ? message : `${message}: ${cause}`, next}];
  }
}
