import type {Operation} from '../../src/ops/index.ts';
import type {Subscribe} from '../../src/ui/index.ts';

/** A journal that a test drives step by step: `show` is one poll. */
export function feed(...first: readonly Operation[]) {
  let now = first;
  const listeners = new Set<(operations: readonly Operation[]) => void>();
  const subscribe: Subscribe = (listener) => {
    listeners.add(listener);
    listener(now);
    return () => listeners.delete(listener);
  };
  return {
    subscribe,
    listeners,
    show(...operations: readonly Operation[]) {
      now = operations;
      for (const listener of [...listeners]) listener(now);
    },
  };
}
