import {BkpError} from '../../errors/index.ts';
import type {TableSource} from '../../sources/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {BackupName} from '../stored/names.ts';
import type {RestoredParts} from './choice.ts';

/** Statements that people type name no more tables than this. */
const mostNamed = 5;

/** @returns `TABLE_EXISTS` if the target has a table with one of the names, undefined if it has none */
export async function obstacleOf(
  source: TableSource,
  parts: RestoredParts,
  {collection, backup}: {collection: string; backup: BackupName},
): Promise<BkpError | undefined> {
  const names = [
    ...parts.tables.map(({chosen}) => chosen.as?.name ?? chosen.name),
    ...parts.objects.map(({name}) => name),
  ];
  const facts = await source.describe(names);
  const existing = facts.filter(({state}) => state !== 'absent').map(({name}) => name);
  if (existing.length === 0) return undefined;
  const missing = names.filter((_, at) => facts[at]?.state === 'absent');
  const statement = (tables: readonly string[]) => {
    const named = tables.map((name) => `TABLE ${quoteName(name)}`).join(', ');
    return `RESTORE ${quoteName(collection)}${named === '' ? '' : ` ${named}`} AT '${backup}'`;
  };
  const only =
    missing.length > 0 && missing.length <= mostNamed
      ? `restore only what is missing: ${statement(missing)}; or everything`
      : 'restore everything';
  return new BkpError('TABLE_EXISTS', `path exist: ${existing.map((name) => `/Root/${name}`).join(', ')}`, {
    cause: 'RESTORE creates its tables and changes no existing one; nothing was restored',
    next: `${only} into a new file, to compare or copy rows from: ${statement([])} INTO './restored.db'`,
  });
}

/** @returns `TABLE_NOT_FOUND` if the target lacks a table whose rows are to be changed, undefined if it has them all */
export async function mergeObstacle(
  source: TableSource,
  parts: RestoredParts,
  {collection, backup}: {collection: string; backup: BackupName},
): Promise<BkpError | undefined> {
  const facts = await source.describe(parts.tables.map(({chosen}) => chosen.name));
  const missing = facts.filter(({state}) => state === 'absent').map(({name}) => name);
  if (missing.length === 0) return undefined;
  const named = missing
    .slice(0, mostNamed)
    .map((name) => quoteName(name))
    .join(', ');
  return new BkpError('TABLE_NOT_FOUND', `path does not exist: ${missing.map((name) => `/Root/${name}`).join(', ')}`, {
    cause: 'MODE changes the rows of tables that exist',
    next:
      'without MODE a restore creates what is missing: ' +
      `RESTORE ${quoteName(collection)} TABLE ${named} AT '${backup}'`,
  });
}
