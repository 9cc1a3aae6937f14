import {BkpError} from '../errors/index.ts';

/** Largest first. A `b` is a byte, never a bit. */
const units = [
  ['GiB', 2 ** 30],
  ['GB', 1e9],
  ['MiB', 2 ** 20],
  ['MB', 1e6],
  ['KiB', 2 ** 10],
  ['KB', 1e3],
] as const;

/** A request carries up to 16 MiB. At this rate it takes 17 minutes; servers and proxies abort slower ones. */
const leastBytesPerSecond = 16 * 1024;

/**
 * @returns bytes per second; undefined for a text that is not a rate
 * @throws BkpError `USAGE` for a rate at which requests would fail
 */
export function readRate(text: string): number | undefined {
  const parts = /^(\d{1,16}(?:\.\d{1,6})?)\s*([a-z]*)$/i.exec(text.trim().replace(/\/s$/i, ''));
  if (parts === null) return undefined;
  const unit = parts[2]!.toLowerCase();
  const factor = unit === '' || unit === 'b' ? 1 : units.find(([name]) => name.toLowerCase() === unit)?.[1];
  if (factor === undefined) return undefined;
  const bytesPerSecond = Math.round(Number(parts[1]) * factor);
  if (!Number.isSafeInteger(bytesPerSecond)) return undefined;
  if (bytesPerSecond >= leastBytesPerSecond) return bytesPerSecond;
  throw new BkpError('USAGE', `a limit of ${bytesPerSecond} bytes per second is too low: the minimum is 16KiB`, {
    cause: 'servers abort requests that take longer than some minutes, and one request carries up to 16 MiB',
    next: 'write 16KiB or more, or off for no limit',
  });
}

/** `10MB`: in the largest unit without a remainder, or the number of bytes. {@link readRate} reads it back. */
export function describeRate(bytesPerSecond: number): string {
  const unit = units.find(([, factor]) => bytesPerSecond % factor === 0);
  return unit === undefined ? String(bytesPerSecond) : `${bytesPerSecond / unit[1]}${unit[0]}`;
}

/**
 * A limit as a user types it: `10MB`, `512KiB`, `10000000`, each per second, or `off`.
 * @returns bytes per second; undefined for `off`
 * @throws BkpError `USAGE`
 */
export function parseRate(text: string): number | undefined {
  if (text.trim().toLowerCase() === 'off') return undefined;
  const rate = readRate(text);
  if (rate !== undefined) return rate;
  throw new BkpError('USAGE', `${JSON.stringify(text)} is not a rate`, {
    next: 'write bytes per second, such as 10MB, 512KiB or 10000000; or off',
  });
}
