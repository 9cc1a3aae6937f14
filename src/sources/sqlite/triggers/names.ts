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

const ownTrigger = new RegExp(`^${ownPrefix}(?:${[...events, ...formerEvents].join('|')})_(.+)$`, 'is');

/**
 * A user's trigger may have such a name; those of bkp all write to a log.
 * @returns the table that this trigger of bkp, or of an older bkp, tracks or tracked under that name
 */
export function trackedBy({name, sql}: {name: string; sql: string | null}): string | undefined {
  return sql?.toLowerCase().includes(logName('')) ? ownTrigger.exec(name)?.[1] : undefined;
}
