import {readFileSync} from 'node:fs';
import {hostname} from 'node:os';
import {dirname, join} from 'node:path';
import type {ReportAuthor} from '../../backups/index.ts';
import {type Operation, operationId} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';

/** Who writes a report. */
export function reportAuthor({entryFile}: Pick<Deps, 'entryFile'>, operation: Operation): ReportAuthor {
  const {node, sqlite = 'unknown'} = process.versions;
  return {bkp: ownVersion(entryFile), node, sqlite, host: hostname(), operation: operationId(operation)};
}

/** The entry file is in bin/, beside which package.json is. */
function ownVersion(entryFile: string): string {
  try {
    const {version} = JSON.parse(readFileSync(join(dirname(entryFile), '..', 'package.json'), 'utf8')) as {
      version: unknown;
    };
    return String(version);
  } catch {
    return 'unknown';
  }
}
