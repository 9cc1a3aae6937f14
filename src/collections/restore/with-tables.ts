import {unlessUnreadable} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {MergeMode, TableSource, WantedTable} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {type Backup, readBackup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';

/** A name that is merely misspelt must not read the manifests of years. */
const mostLooks = 200;

/** What a restore was asked for. */
type Wish = {
  collection: string;
  tables?: readonly WantedTable[] | undefined;
  schema?: string | undefined;
  mode?: MergeMode | undefined;
  into?: string | undefined;
};

/**
 * The same error, that a backup lacks a table; its next step is to restore from the newest backup that has all wanted
 * ones, if there is one: the table may have left the collection or the database.
 * @param backups oldest first
 */
export async function withTables(
  {vault, source}: {vault: VaultReader; source: TableSource},
  {collection, tables: wanted, schema, mode, into}: Wish,
  backups: readonly BackupName[],
  error: BkpError,
): Promise<BkpError> {
  if (wanted === undefined) return error;
  const found = await newestWith();
  if (found === undefined) return error;
  const list = wanted.map(({name, as}) => `TABLE ${quoteName(name)}${as === undefined ? '' : ` AS ${quoteName(as)}`}`);
  const where = `AT '${found}'${into === undefined ? '' : ` INTO ${into}`}`;
  const how = mode === undefined ? '' : ` WITH (MODE='${mode}')`;
  return new BkpError(error.code, error.message, {
    cause: error.cause,
    next: `the newest backup that has it: RESTORE ${quoteName(collection)} ${list.join(', ')} ${where}${how}`,
    context: error.context,
  });

  async function newestWith(): Promise<string | undefined> {
    for (const name of backups.toReversed().slice(0, mostLooks)) {
      const backup = await unlessUnreadable(readBackup(vault, collection, name));
      if (backup !== undefined && (await hasAll(backup))) return backup.body.backup;
    }
    return undefined;
  }

  async function hasAll({body}: Backup): Promise<boolean> {
    const parts = {schemas: body.tables.map((table) => table.schema), objects: body.objects ?? []};
    try {
      await source.choose(parts, wanted!, {schema});
      return true;
    } catch (fault) {
      if (fault instanceof BkpError) return false;
      throw fault;
    }
  }
}
