import {vi} from 'vitest';

/**
 * Tries again until nothing is thrown, and gives what came of it. The limit is for what never comes: how fast a machine is,
 * no test asks.
 */
export function eventually<T>(look: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(look, {timeout: 60_000, interval: 20});
}
