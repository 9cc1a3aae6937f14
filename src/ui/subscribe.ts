import type {Operation} from '../ops/index.ts';

/**
 * How a view receives operations: the listener is called with all of them, in the order to show, soon
 * after the call and then a few times a second. The returned function ends it.
 */
export type Subscribe = (listener: (operations: readonly Operation[]) => void) => () => void;

/** Why a view ended: all operations that it showed are done, or the user left. */
export type ViewEnd = {
  why: 'finished' | 'left';
  /** As last read. */
  operations: readonly Operation[];
};
