import type {DatabaseFacts, SchemaObject, TableName, TableSchema, TableSource} from '../../../src/sources/index.ts';

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

/** @param backup.published tables under other names @returns notices */
export async function restoreSchema(
  target: TableSource,
  backup: Omit<EmptyBackup, 'notices'> & {published?: ReadonlyMap<TableName, TableSchema>},
): Promise<readonly string[]> {
  const {schemas, objects, database, published = new Map()} = backup;
  const notices: string[] = [];
  const notice = (text: string) => notices.push(text);
  const staging = await target.stage(schemas, {id: 'schema', database, objects, published, bases: new Map()});
  try {
    await staging.finish({check: 'quick', notice});
    await staging.publish({notice});
  } finally {
    await staging.discard();
  }
  return notices;
}
