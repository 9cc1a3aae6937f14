import {BkpError} from '../errors/index.ts';
import {formatBytes} from '../lib/figures.ts';
import type {VerifyBudget} from '../vault/index.ts';

const byteUnits: Readonly<Record<string, number>> = {
  kb: 1e3,
  kib: 2 ** 10,
  mb: 1e6,
  mib: 2 ** 20,
  gb: 1e9,
  gib: 2 ** 30,
  tb: 1e12,
  tib: 2 ** 40,
};
const msUnits: Readonly<Record<string, number>> = {
  s: 1000,
  second: 1000,
  min: 60_000,
  minute: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
};

/** A pack has at most 24 MiB, and is read as a whole. */
export const leastBudgetBytes = 32 * 2 ** 20;

/** Reads `10 GiB`, `500MB`, `15 min`, `2 hours`, `90 s`. @throws BkpError `BAD_REQUEST` */
export function parseBudget(key: string, text: string): VerifyBudget {
  const [, digits, unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?)\s*([a-z]+)$/i.exec(text.trim()) ?? [];
  const word = unit.toLowerCase();
  const perByte = byteUnits[word];
  const perMs = msUnits[word] ?? msUnits[word.replace(/s$/, '')];
  if (digits !== undefined && perByte !== undefined) {
    const bytes = Math.floor(Number(digits) * perByte);
    if (bytes >= leastBudgetBytes) return {bytes};
    throw new BkpError('BAD_REQUEST', `${key} cannot be '${text}': the least is ${formatBytes(leastBudgetBytes)}`, {
      cause: 'data is verified in packs of up to 24 MiB',
      next: `write ${key}='1 GiB'`,
    });
  }
  const ms = digits === undefined || perMs === undefined ? 0 : Math.floor(Number(digits) * perMs);
  if (ms > 0) return {ms};
  throw new BkpError('BAD_REQUEST', `${key} cannot be '${text}'`, {
    next: `write ${key}='10 GiB' or ${key}='15 min'`,
  });
}
