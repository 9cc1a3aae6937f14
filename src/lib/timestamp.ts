import {BkpError} from '../errors/index.ts';

const pattern = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d:?\d\d)?$/;

/**
 * A moment as people and QuestDB write it: `2026-11-21`, `2026-11-21T12:00:00.123456Z`, with an offset; without one it is UTC.
 * @returns microseconds since 1970
 * @throws BkpError `USAGE`
 */
export function parseTimestamp(text: string): number {
  const parts = pattern.exec(text.trim());
  const [, day, time = '00:00:00', fraction = '', zone = 'Z'] = parts ?? [];
  const millis = parts === null ? Number.NaN : Date.parse(`${day}T${time.length === 5 ? `${time}:00` : time}${zone}`);
  if (Number.isNaN(millis)) {
    throw new BkpError('USAGE', `${JSON.stringify(text)} is no moment`, {
      next: 'write it as 2026-11-21T12:00:00Z; up to six digits may follow the seconds',
    });
  }
  return millis * 1000 + Number(fraction.padEnd(6, '0'));
}
