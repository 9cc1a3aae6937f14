import {randomUUID} from 'node:crypto';
import type {Mark} from '../../source.ts';

const form = /^scan-(\d+)-/u;

/** The mark of a backup that writes nothing to the source. `unread`: see {@link unreadOf}. */
export const scanMark = (unread: number): Mark => `scan-${unread}-${randomUUID()}`;

export const isScanMark = (mark: Mark): boolean => form.test(mark);

/** How many increments in a row, up to the one of this mark, left ranges unread that are those of the base. */
export const unreadOf = (mark: Mark): number => Number(form.exec(mark)?.[1] ?? 0);
