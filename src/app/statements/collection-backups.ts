import {hasCollection, planCopy, planVerify, planWantedBackup} from '../../collections/index.ts';
import {describeStore, sameStore} from '../../config/index.ts';
import {backupRef, collectionName, type WantedBackup} from '../../sql/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {refuseWhenBusy} from '../orders/busy.ts';
import {collectionSubject, startOperation} from '../orders/start.ts';
import {isOwnStore, placeNamed, placeOfCollection, placesOf, withVaultIfAny} from '../places/places.ts';
import {withSource} from '../places/source-places.ts';
import {type Workplace, withVault} from '../places/workplace.ts';
import {attempted} from './attempts.ts';
import {drillStatement} from './drills.ts';
import {placeToHealFrom} from './heal-from.ts';
import {type ExecuteOptions, noticesOf, type StatementOf, type StatementResult} from './result.ts';
import {isAdopting, verifyWish} from './settings.ts';

export async function backupStatement(
  deps: Deps,
  statement: StatementOf<'backup'>,
  {refusedSinceMs}: ExecuteOptions = {},
): Promise<StatementResult> {
  const collection = collectionName(statement.collection);
  const adopt = isAdopting(statement.settings);
  const {type, text} = statement;
  const kind = type === 'full' ? 'fullbackup' : 'incbackup';
  const about = {kind, subject: collectionSubject(collection), statement: text} as const;
  return attempted(deps, {...about, refusedSinceMs}, () => startBackup(deps, {collection, adopt, type, text}));
}

type WishedBackup = {collection: string; adopt: boolean; type: WantedBackup; text: string};

async function startBackup(
  deps: Deps,
  {collection, adopt, type: wanted, text}: WishedBackup,
): Promise<StatementResult> {
  await refuseWhenBusy(deps, collection);
  const at = {deps, place: await placeOfCollection(deps, collection, {defines: false})};
  const request = {collection, type: wanted, adopt, nowMicros: deps.nowMicros()};
  const {planned, place} = await withVault(at, {create: false}, async (vault, place) => ({
    planned: await withSource(deps, place, (source) => planWantedBackup(vault, source, request)),
    place,
  }));
  const orFull = wanted === 'incremental-or-full';
  const {name, type, fullInstead} = planned;
  const operation = await startOperation(
    deps,
    {do: 'backup', place, collection, ...planned, ...(adopt ? {adopt} : {}), ...(orFull ? {orFull} : {})},
    {
      kind: type === 'incremental' ? 'incbackup' : 'fullbackup',
      subject: collectionSubject(collection),
      shared: false,
      statement: text,
      backup: `${collection}/${name}`,
    },
  );
  return {
    operation,
    notices: noticesOf(fullInstead && `a full backup is taken instead of an increment: ${fullInstead}`),
  };
}

export async function verifyStatement(deps: Deps, statement: StatementOf<'verify'>): Promise<StatementResult> {
  const {collection, point} = backupRef(statement.backup, deps.nowMicros());
  const {level, queries, heal, ...budget} = verifyWish(statement.settings);
  const at = {deps, place: await placeOfCollection(deps, collection, {defines: false})};
  if (level === 'restore' || level === 'source') return drillStatement(at, statement, {level, queries});
  const {backup, place} = await withVault(at, {create: false}, async (vault, place) => ({
    backup: await planVerify(vault, {collection, point}),
    place,
  }));
  const healing = heal === undefined ? {} : {heal: await placeToHealFrom(deps, heal, place)};
  const operation = await startOperation(
    deps,
    {do: 'verify', place, collection, level, ...budget, ...healing, ...(backup === undefined ? {} : {backup})},
    {
      kind: 'verify',
      subject: collectionSubject(collection),
      shared: true,
      statement: statement.text,
      ...(backup === undefined ? {} : {backup: `${collection}/${backup}`}),
    },
  );
  return {operation, notices: []};
}

/** Checks both stores before it starts anything. The target's vault is created if it has none. */
export async function copyStatement(deps: Deps, statement: StatementOf<'copy'>): Promise<StatementResult> {
  const {collection, point} = backupRef(statement.backup, deps.nowMicros());
  await refuseWhenBusy(deps, collection);
  const target = await placeNamed(deps, statement.target);
  const origin = await placeOfOriginal(deps, collection, target);
  const home = await placeOfCollection(deps, collection, {defines: false, isSource: true});
  const isHome = sameStore(home.store, target.store);
  const isOwn = await isOwnStore(deps, target);
  const {plan, place, to, notices} = await withVault(
    {deps, place: origin},
    {create: false, isSource: true},
    (from, place) => {
      const isEncrypted = from.encryption !== undefined;
      return withVault({deps, place: target}, {create: true, copy: {isEncrypted, isOwn}}, async (vault, to) => ({
        plan: await planCopy({from, to: vault}, {collection, point, isHome}),
        place,
        to,
        notices: isEncrypted && vault.encryption === undefined ? [plainCopyNotice(to)] : [],
      }));
    },
  );
  const {backup, nothing} = plan;
  if (nothing !== undefined) return {notices: [...notices, nothing]};
  const operation = await startOperation(
    deps,
    {do: 'copy', place, collection, to, ...(backup === undefined ? {} : {backup})},
    {
      kind: 'copy',
      subject: collectionSubject(collection),
      shared: false,
      statement: statement.text,
      ...(backup === undefined ? {} : {backup: `${collection}/${backup}`}),
    },
  );
  return {operation, notices};
}

const plainCopyNotice = ({store}: Workplace) =>
  `the vault in ${describeStore(store)} is not encrypted: the copy can be read by whoever can read the store`;

/** An earlier copy may exist in the target, so the other stores are searched first. */
async function placeOfOriginal(deps: Deps, collection: string, target: Workplace): Promise<Workplace> {
  for (const place of await placesOf(deps)) {
    if (sameStore(place.store, target.store)) continue;
    const has = (vault: Vault) => hasCollection(vault, collection);
    if (await withVaultIfAny(deps, place, has, {isSource: true})) return place;
  }
  return placeOfCollection(deps, collection, {defines: false, isSource: true});
}
