import {seedOfCheckout} from './of-checkout.ts';

/** Vitest hands it to every process. */
export const seed = seedOfCheckout();
