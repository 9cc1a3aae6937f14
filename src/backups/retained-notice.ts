import type {Retained} from '../vault/index.ts';

/** The last time that a Date can represent: stores report it for a hold without an end. */
const neverMs = 8.64e15;

/** Why a cleanup did not remove everything, and when the next one can. */
export function retainedNotice({objects, untilMs}: Retained): string {
  const what = objects === 1 ? '1 object is' : `${objects} objects are`;
  const them = objects === 1 ? 'it' : 'them';
  if (untilMs >= neverMs) return `${what} under a legal hold; a cleanup after the hold is lifted removes ${them}`;
  return `${what} under retention until ${new Date(untilMs).toISOString()}; a cleanup after that removes ${them}`;
}
