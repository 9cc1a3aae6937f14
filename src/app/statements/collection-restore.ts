import {randomBytes} from 'node:crypto';
import {planRestore, type RestorePlan, requirePossible} from '../../collections/index.ts';
import {describeSource, parseSource} from '../../config/index.ts';
import {backupRef, quoteText, storedTableName, tableName} from '../../sql/index.ts';
import type {Deps} from '../deps.ts';
import {refuseWhenBusy} from '../orders/busy.ts';
import {collectionSubject, startOperation} from '../orders/start.ts';
import {placeOfCollection} from '../places/places.ts';
import {withSource} from '../places/source-places.ts';
import {type Workplace, withVault} from '../places/workplace.ts';
import {estimateRestore} from './restore-time.ts';
import {noticesOf, type StatementOf, type StatementResult} from './result.ts';
import {restoreSettings} from './settings.ts';
import {shortage} from './shortage.ts';

/** Plans the restore, and starts the operation that executes the plan; a dry run returns the plan. */
export async function restoreStatement(deps: Deps, statement: StatementOf<'restore'>): Promise<StatementResult> {
  const {check = (await deps.settings()).check, mode, dryRun} = restoreSettings(statement.settings);
  // What a MODE would change, only the comparison of all rows finds out: an operation.
  if (dryRun && mode === undefined) {
    const {plan} = await planStatement(deps, statement, {details: true});
    const estimate = await estimateRestore(deps, plan.bytes);
    return {rows: {kind: 'restore-plan', plan, ...(estimate === undefined ? {} : {estimate})}, notices: []};
  }
  await refuseWhenBusy(deps, backupRef(statement.backup, deps.nowMicros()).collection);
  const {plan, place} = await planStatement(deps, statement, {details: false});
  requirePossible(plan);
  const {collection, backup, choice} = plan;
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
  return {operation, notices: noticesOf(plan.space && shortage(plan.space))};
}

async function planStatement(
  deps: Deps,
  statement: StatementOf<'restore'>,
  options: {details: boolean},
): Promise<{plan: RestorePlan; place: Workplace}> {
  const {collection, point} = backupRef(statement.backup, deps.nowMicros());
  const tables = statement.tables?.map(({table, as}) => ({name: storedTableName(table), as: as && tableName(as)}));
  const {mode, partial} = restoreSettings(statement.settings);
  const {target} = statement;
  const {schema} = statement;
  const named = target === undefined ? schema && `SCHEMA ${quoteText(schema)}` : quoteText(target);
  const wish = {collection, point, tables, schema, mode, partial, into: named};
  const found = await placeOfCollection(deps, collection, {defines: false});
  const into = target === undefined ? {} : {source: describeSource(parseSource(target, deps.cwd))};
  return withVault({deps, place: {...found, ...into}}, {create: false}, async (vault, place) => ({
    plan: await withSource(deps, place, (source) => planRestore(vault, source, wish, options)),
    place,
  }));
}
