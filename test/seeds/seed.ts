import {seedOfCheckout} from './of-checkout.ts';

/** What random tests begin with. Vitest's configurations hand it to every process, so that the files are read once. */
export const seed = seedOfCheckout();
