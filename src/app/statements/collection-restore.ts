import {randomBytes} from 'node:crypto';
import {planRestore, requirePossible} from '../../collections/index.ts';
import {describeSource, parseSource} from '../../config/index.ts';
import {backupRef, tableName} from '../../sql/index.ts';
import type {Deps} from '../deps.ts';
import {refuseWhenBusy} from '../orders/busy.ts';
import {collectionSubject, startOperation} from '../orders/start.ts';
import {placeOfCollection} from '../places/places.ts';
import {withSource} from '../places/source-places.ts';
import {withVault} from '../places/workplace.ts';
import type {StatementOf, StatementResult} from './result.ts';
import {restoreSettings} from './settings.ts';

/** Plans the restore, and starts the operation that executes the plan. */
export async function restoreStatement(deps: Deps, statement: StatementOf<'restore'>): Promise<StatementResult> {
  const {collection, point} = backupRef(statement.backup, deps.nowMicros());
  const tables = statement.tables?.map(({table, as}) => ({name: tableName(table), as: as && tableName(as)}));
  const {check = (await deps.settings()).check, mode, dryRun, partial} = restoreSettings(statement.settings);
  await refuseWhenBusy(deps, collection);
  const found = await placeOfCollection(deps, collection, {defines: false});
  const {target} = statement;
  const into = target === undefined ? {} : {source: describeSource(parseSource(target, deps.cwd))};
  const at = {deps, place: {...found, ...into}};
  const {plan, place} = await withVault(at, {create: false}, async (vault, place) => ({
    plan: await withSource(deps, place, (source) =>
      planRestore(vault, source, {collection, point, tables, mode, partial}),
    ),
    place,
  }));
  requirePossible(plan);
  const {backup, choice} = plan;
  // Random, because two homes may restore into one database and both count their operations from 1.
  const stagingId = randomBytes(6).toString('hex');
  const operation = await startOperation(
    deps,
    {
      ...{do: 'restore', place, collection, backup, stagingId, check},
      ...(choice === undefined ? {} : {choice}),
      ...(plan.mode === undefined ? {} : {mode: plan.mode}),
      ...(plan.partial === undefined ? {} : {partial: plan.partial}),
      ...(dryRun ? {dryRun: true} : {}),
    },
    {
      kind: 'restore',
      subject: collectionSubject(collection),
      shared: false,
      statement: statement.text,
      backup: `${collection}/${backup}`,
    },
  );
  return {operation, notices: []};
}
