import {BkpError} from '../errors/index.ts';

const unitsMs: Readonly<Record<string, number>> = {ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000};

/**
 * `30s`, `5m`, `1h30m`: numbers with units, added up.
 * @returns milliseconds
 * @throws BkpError `USAGE`
 */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)];
  if (text === '' || parts.map(([part]) => part).join('') !== text) {
    throw new BkpError('USAGE', `Invalid duration: ${JSON.stringify(text)}`, {
      next: 'type a number with its unit, as 30s, 5m or 1h30m',
    });
  }
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * unitsMs[unit!]!, 0);
}
