import {Command} from 'commander';
import type {Deps} from '../deps.ts';

export function command(_deps: Deps): Command {
  return new Command('operation').description('Long-running operations: backups, restores, verifications, cleanups.');
}
