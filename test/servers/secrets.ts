import {inspect} from 'node:util';

/** All that a value holds, however deep: causes, stacks, hidden and inherited fields. */
export const everythingIn = (value: unknown): string =>
  inspect(value, {depth: null, showHidden: true, maxArrayLength: null, maxStringLength: null, getters: true});
