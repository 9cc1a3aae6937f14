import {createReadStream} from 'node:fs';
import {pipeline} from 'node:stream/promises';
import {BkpError, systemCode} from '../../errors/index.ts';
import {requirePlainFile} from '../../lib/plain-file.ts';
import {type Operation, operationId} from '../../ops/index.ts';
import type {CommandDeps} from '../deps.ts';

/**
 * Copies the log file to stdout unchanged. If no worker has started the operation yet, there is no file: reports that
 * on stderr.
 */
export async function printLog({stdout, stderr}: CommandDeps, operation: Operation): Promise<void> {
  try {
    requirePlainFile(operation.logFile);
    await pipeline(createReadStream(operation.logFile), stdout, {end: false});
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') {
      throw new BkpError('JOURNAL_UNAVAILABLE', `the log of ${operationId(operation)} cannot be read`, {
        cause: error,
        next: `look at ${operation.logFile}`,
      });
    }
    stderr.write(`${operationId(operation)} has no log yet\n`);
  }
}
