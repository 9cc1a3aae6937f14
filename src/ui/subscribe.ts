import type {Operation} from '../ops/index.ts';

/**
 * How a view gets to see operations: the listener is called with all of them, in the order to show, soon
 * after the call and then a few times a second. The function returned ends it.
 */
export type Subscribe = (listener: (operations: readonly Operation[]) => void) => () => void;

/** Why a view ended: everything it showed is done, or whoever watched had enough. */
export type ViewEnd = {
  why: 'finished' | 'left';
  /** As last seen. */
  operations: readonly Operation[];
};
