import type {DatabaseFacts, SchemaObject, TableSchema, TableSource} from '../../../src/sources/index.ts';

/** What a backup has of a database beside rows. */
export type EmptyBackup = {
  schemas: readonly TableSchema[];
  objects: readonly SchemaObject[];
  database: DatabaseFacts;
  notices: readonly string[];
};

/** @param options.objects of the whole database */
export async function takeSchema(
  source: TableSource,
  {tables, objects}: {tables: readonly string[]; objects: boolean},
): Promise<EmptyBackup> {
  const notices: string[] = [];
  const snapshot = await source.snapshot({tables, objects, notice: (text) => notices.push(text)});
  const {schemas, objects: found, database} = snapshot;
  await snapshot.close();
  return {schemas, objects: found, database, notices};
}

/** @returns notices */
export async function restoreSchema(
  target: TableSource,
  {schemas, objects, database}: EmptyBackup,
): Promise<readonly string[]> {
  const notices: string[] = [];
  const notice = (text: string) => notices.push(text);
  const staging = await target.stage(schemas, {id: 'schema', database, objects, bases: new Map()});
  try {
    await staging.finish({check: 'quick', notice});
    await staging.publish({notice});
  } finally {
    await staging.discard();
  }
  return notices;
}
