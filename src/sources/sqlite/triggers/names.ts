import {ownPrefix} from '../engine/own-prefix.ts';

/** The change log of a table. */
export function logName(table: string): string {
  return `${ownPrefix}log_${table}`;
}

/** See `rowTable`. */
export function rowName(table: string): string {
  return `${ownPrefix}row_${table}`;
}

const events = ['insert', 'inserted', 'update', 'move', 'moved', 'evict', 'delete'] as const;
const formerEvents = ['before_insert', 'before_update'] as const;
export type TriggerEvent = (typeof events)[number];

export function triggerName(event: TriggerEvent, table: string): string {
  return `${ownPrefix}${event}_${table}`;
}

const ownTrigger = new RegExp(`^${ownPrefix}(?:${[...events, ...formerEvents].join('|')})_(.*)$`, 'is');

/** @returns the table after which a trigger of bkp, or of an older bkp, would have this name */
export function tableInTriggerName(trigger: string): string | undefined {
  return ownTrigger.exec(trigger)?.[1];
}
