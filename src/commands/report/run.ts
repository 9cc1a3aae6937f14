import {allReports} from '../../app/views/verifications.ts';
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
  const collection = options.collection && collectionName({text: options.collection, place: {line: 1, column: 1}});
  const found = (await allReports(deps)).findLast(
    (one) =>
      (collection === undefined || one.collection === collection) &&
      (backup === undefined || one.backup === backup || one.backup.split('_')[0] === backup) &&
      (id === undefined || one.id === id),
  );
  if (found === undefined) throw noReport(collection);
  const {report, error} = found;
  if (report === undefined) throw new BkpError('OBJECT_DAMAGED', `the report ${found.id} cannot be read: ${error}`);
  const {page, ...values} = report;
  deps.stdout.write(format === 'pretty' ? page : `${JSON.stringify({id: found.id, ...values})}\n`);
}

function noReport(collection: string | undefined): BkpError {
  const what = collection === undefined ? '' : ` on ${collection}`;
  return new BkpError('BACKUP_NOT_FOUND', `there is no such report${what}`, {
    next: `VERIFY ${collection ?? 'shop'} WITH (LEVEL='restore') writes one; SELECT * FROM verifications() lists them`,
  });
}
