import fc from 'fast-check';
import {seed} from './seed.ts';

fc.configureGlobal({...fc.readConfigureGlobal(), seed});

/** fast-check, whose properties begin with the seed of the checkout. */
export default fc;
