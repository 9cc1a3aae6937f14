import {spawnSync} from 'node:child_process';
import {join} from 'node:path';

const reader = join(import.meta.dirname, '..', '..', 'bin', 'bkp-reader.mjs');

export type Run = {status: number | null; stdout: string; stderr: string};

/** Runs bin/bkp-reader.mjs as a user does. */
export function read(...args: readonly string[]): Run {
  const {status, stdout, stderr} = spawnSync(process.execPath, [reader, ...args], {encoding: 'utf8'});
  return {status, stdout, stderr};
}
