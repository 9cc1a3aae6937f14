import {join} from 'node:path';

/**
 * Environment of the processes and threads that tests start: Node keeps their compiled code here. Without it, each of
 * them removes the types of bkp's sources and compiles them, which is more than half of the CPU time of its start.
 */
export const keptCode = {NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/bkp-tests')};
