import type {BaseStream, Cuts, Snapshot} from '../../src/sources/index.ts';

/** All rows of a table, taken by the way of rows. */
export async function rowStream(snapshot: Snapshot, table: string, cuts?: Cuts): Promise<BaseStream> {
  const base = await snapshot.base(table, {
    form: 'rows',
    previous: cuts === undefined ? undefined : new Map([[table, cuts]]),
  });
  if (base.form !== 'rows') throw new Error(`${table} was not taken as rows`);
  return base.rows;
}
