import {startCleanup} from '../../app/orders/start.ts';
import {placesOf, withVaultIfAny} from '../../app/places/places.ts';
import {planCleanup} from '../../collections/index.ts';
import {describeStore} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Subject} from '../../ops/index.ts';
import {parse} from '../../sql/index.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {report, runStatements} from '../sql/run.ts';
import {printedTable, type Table} from '../tables.ts';

export function runStatement(deps: CommandDeps, statement: string, {format}: {format: RowFormat}): Promise<void> {
  return runStatements(deps, parse(statement), {wait: false, format});
}

export type CleanupOptions = {wait: boolean; dryRun: boolean; format: RowFormat};

/** Starts one operation for each store that has a vault: garbage is per vault. */
export async function runCleanup(deps: CommandDeps, {wait, dryRun, format}: CleanupOptions): Promise<void> {
  if (dryRun) return printPlans(deps, format);
  let cleaned = 0;
  for (const place of await placesOf(deps)) {
    const vault = await withVaultIfAny(deps, place, async ({id}) => id);
    if (vault === undefined) continue;
    cleaned += 1;
    const subject: Subject = {kind: 'store', name: describeStore(place.store)};
    const about = {subject, statement: 'bkp collection cleanup'};
    const operation = await startCleanup(deps, {do: 'cleanup', place: {...place, vault}}, about);
    if ((await report(deps, {operation, notices: []}, {wait, format})) === 'left') return;
  }
  if (cleaned === 0) throw noVault();
}

/** What the cleanup of each store would remove. Nothing is written. */
async function printPlans(deps: CommandDeps, format: RowFormat): Promise<void> {
  const rows: Table['rows'][number][] = [];
  for (const place of await placesOf(deps)) {
    const plan = await withVaultIfAny(deps, place, (vault) => planCleanup(vault));
    if (plan === undefined) continue;
    const {manifests, reports, packs} = plan;
    const moved = new Set([...packs.sparsePacks, ...packs.smallPacks]).size;
    rows.push([
      ...[describeStore(place.store), manifests.length, reports.length],
      ...[packs.deadPacks.length, moved, packs.freedBytes],
    ]);
  }
  if (rows.length === 0) throw noVault();
  const columns = [
    ...['store', 'dropped_backups', 'reports', 'packs', 'rewritten_packs'].map((name) => ({name})),
    {name: 'freed_bytes', bytes: true as const},
  ];
  deps.stdout.write(printedTable({columns, rows}, format, deps.stdout));
}

const noVault = () =>
  new BkpError('VAULT_ABSENT', 'there is no vault to clean up', {
    next: 'name the store that holds your backups: --store, --cluster',
  });
