import {vi} from 'vitest';

/**
 * Retries until `work` does not throw, and returns its result. The limit ends what never succeeds: no test depends on
 * the speed of the machine.
 */
export function eventually<T>(look: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(look, {timeout: 60_000, interval: 20});
}
