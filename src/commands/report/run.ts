import {allReports, type FoundReport} from '../../app/views/verifications.ts';
import {isInstanceName} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import {collectionName} from '../../sql/index.ts';
import type {CommandDeps} from '../deps.ts';

export type ReportOptions = {
  collection?: string | undefined;
  backup?: string | undefined;
  id?: string | undefined;
  format: 'pretty' | 'json';
};

/** @throws BkpError `BACKUP_NOT_FOUND` when there is no such report */
export async function runReport(deps: CommandDeps, options: ReportOptions): Promise<void> {
  const {backup, id, format} = options;
  const wanted = options.collection;
  const isOf = wanted === undefined ? () => true : subjectOf(wanted);
  const found = (await allReports(deps)).findLast(
    (one) =>
      isOf(one) &&
      (backup === undefined || one.backup === backup || one.backup.split('_')[0] === backup) &&
      (id === undefined || one.id === id),
  );
  if (found === undefined) throw noReport(wanted);
  const {report, error} = found;
  if (report === undefined) throw new BkpError('OBJECT_DAMAGED', `the report ${found.id} cannot be read: ${error}`);
  const {page, ...values} = report;
  deps.stdout.write(format === 'pretty' ? page : `${JSON.stringify({id: found.id, ...values})}\n`);
}

/** An instance, or else a collection, under this name. */
function subjectOf(text: string): (one: FoundReport) => boolean {
  if (!isInstanceName(text)) {
    const collection = collectionName({text, place: {line: 1, column: 1}});
    return (one) => one.collection === collection;
  }
  return (one) => one.instance === text || one.collection === text;
}

function noReport(wanted: string | undefined): BkpError {
  const what = wanted === undefined ? '' : ` on ${wanted}`;
  const subject = wanted !== undefined && isInstanceName(wanted) ? 'DATABASE' : (wanted ?? 'shop');
  return new BkpError('BACKUP_NOT_FOUND', `there is no such report${what}`, {
    next: `VERIFY ${subject} WITH (LEVEL='restore') writes one; SELECT * FROM verifications() lists them`,
  });
}
