import {readersIn} from '../../app/orders/readers.ts';
import {placeOfCollection, placesOf, withVaultIfAny} from '../../app/places/places.ts';
import {openVaultAt} from '../../app/places/workplace.ts';
import {type DatabaseVerdictRow, databaseVerdicts} from '../../app/retention/databases.ts';
import {collectionsWithRetention, planRetention, type RetentionPlan} from '../../collections/index.ts';
import {BkpError} from '../../errors/index.ts';
import {collectionName} from '../../sql/index.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {CommandDeps} from '../deps.ts';
import {printedTable, type Table} from '../tables.ts';

export type RetentionPlanOptions = {collection?: string | undefined; format: RowFormat};

/** Computes the plans that a cleanup would compute, and prints them. */
export async function runRetentionPlan(deps: CommandDeps, {collection, format}: RetentionPlanOptions): Promise<void> {
  const {plans, databases} =
    collection === undefined
      ? await everyPlan(deps)
      : {plans: [await onePlan(deps, nameIn(collection))], databases: []};
  for (const {damage} of plans) {
    if (damage !== undefined) deps.warn(damage.message);
  }
  if (plans.length === 0 && databases.length === 0)
    deps.warn('no collection has a KEEP_… setting: every backup of them stays');
  deps.stdout.write(printedTable(planRows(plans, databases), format, deps.stdout));
}

const nameIn = (text: string) => collectionName({text, place: {line: 1, column: 1}});

async function onePlan(deps: CommandDeps, collection: string): Promise<RetentionPlan> {
  const place = await placeOfCollection(deps, collection, {defines: false});
  const vault = await openVaultAt(deps, place, {create: false});
  try {
    return await planIn(deps, vault, collection);
  } finally {
    vault.close();
  }
}

type Plans = {plans: readonly RetentionPlan[]; databases: readonly DatabaseVerdictRow[]};

async function everyPlan(deps: CommandDeps): Promise<Plans> {
  const plans: RetentionPlan[] = [];
  const databases: DatabaseVerdictRow[] = [];
  let vaults = 0;
  for (const place of await placesOf(deps)) {
    await withVaultIfAny(deps, place, async (vault) => {
      vaults += 1;
      for (const collection of await collectionsWithRetention(vault)) {
        // A collection that an earlier store also has is a copy here: it gets no backups, so no cleanup runs.
        if (plans.every((plan) => plan.collection !== collection)) plans.push(await planIn(deps, vault, collection));
      }
      if (place.storage === 's3') databases.push(...(await databaseVerdicts(deps, place, vault)));
    });
  }
  if (vaults > 0) return {plans, databases};
  throw new BkpError('VAULT_ABSENT', 'there is no vault yet, so no backup that could go', {
    next: 'name the store that holds your backups: --store, --cluster',
  });
}

async function planIn(deps: CommandDeps, vault: Vault, collection: string): Promise<RetentionPlan> {
  return planRetention(vault, collection, {
    nowMs: deps.nowMicros() / 1000,
    readerOf: await readersIn(deps, {collection, vault: vault.id}),
  });
}

/** A whole database is no collection. */
function planRows(plans: readonly RetentionPlan[], databases: readonly DatabaseVerdictRow[]): Table {
  const verdicts = [
    ...plans.flatMap(({collection, verdicts}) => verdicts.map((verdict) => ({collection, ...verdict}))),
    ...databases.map((verdict) => ({collection: null, ...verdict})),
  ];
  return {
    columns: [
      {name: 'collection'},
      {name: 'backup'},
      {name: 'action'},
      {name: 'rules', forPrograms: true},
      {name: 'why'},
    ],
    rows: verdicts.map(({collection, backup, goes, rules, why}) => [
      collection,
      backup,
      goes ? 'goes' : 'stays',
      rules.join(' '),
      why,
    ]),
  };
}
