import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import type {Cluster} from './cluster.ts';

/** The statements of pg_dump for the schema of a database, in any order, without change tracking. */
export function statementsOf({clientBin, where}: Cluster, database: string): readonly string[] {
  const dump = execFileSync(join(clientBin, 'pg_dump'), ['-s', '-N', '_bkp', ...where, database], {encoding: 'utf8'});
  return dump
    .split(/;\n/u)
    .map((statement) => statement.replace(/^(?:--.*|\\.*|SET .*)?$\n?/gmu, '').trim())
    .filter((statement) => statement !== '' && !statement.includes('~bkp_'))
    .toSorted();
}
