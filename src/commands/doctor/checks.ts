import {accessSync, constants, existsSync, mkdirSync} from 'node:fs';
import {dirname} from 'node:path';
import {readAllFolders} from '../../collections/index.ts';
import {exposure, profileName} from '../../config/index.ts';
import {asPlain} from '../../errors/index.ts';
import {probeDirectory} from '../../stores/index.ts';
import type {Deps} from '../deps.ts';
import {openSourceAt, openVaultAt, workplaceOf} from '../workplace.ts';

export type Check = {what: string; ok: boolean; detail: string; next?: string};
type Options = {repair: boolean};

const neededNode = 24;

export async function checkNode(): Promise<Check[]> {
  const major = Number.parseInt(process.versions.node, 10);
  const {sqlite} = process.versions;
  return [
    {
      what: 'node',
      ok: major >= neededNode,
      detail: `${process.versions.node} with SQLite ${sqlite}`,
      ...(major >= neededNode ? {} : {next: `install Node ${neededNode} or newer`}),
    },
  ];
}

export function checkHome(deps: Deps): Promise<Check[]> {
  return tried('home', async () => {
    const {dir} = deps.home;
    mkdirSync(dir, {recursive: true, mode: 0o700});
    accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK);
    const journal = await deps.journal();
    const open = journal.open().length;
    return [
      {what: 'home', ok: true, detail: dir},
      {what: 'journal', ok: true, detail: `${journal.lastNumber() ?? 0} operations so far, ${open} open`},
    ];
  });
}

export function checkProfile(deps: Deps): Promise<Check[]> {
  return tried('profile', async () => {
    await deps.settings();
    const name = await profileName(deps);
    const told = await exposure(deps.home);
    const file = {what: 'profile', ok: true, detail: `${name} (${deps.home.configFile})`};
    return told === undefined
      ? [file]
      : [file, {what: 'profile', ok: false, detail: told, next: `chmod 600 ${deps.home.configFile}`}];
  });
}

export function checkCluster(deps: Deps): Promise<Check[]> {
  return tried('cluster', async () => {
    const place = await workplaceOf(deps);
    if (!existsSync(place.cluster)) return [await absentCluster(place.cluster)];
    const probes = await probeDirectory(place.cluster);
    const checks = probes.map((probe) => ({...probe, what: `cluster: ${probe.what}`}));
    if (checks.some((check) => !check.ok)) return checks;
    return [...checks, ...(await tried('vault', async () => [await checkVault(deps)]))];
  });
}

/** The first CREATE makes it; what can be told before is whether it may. */
async function absentCluster(cluster: string): Promise<Check> {
  const what = 'cluster: folder';
  let above = dirname(cluster);
  while (!existsSync(above)) above = dirname(above);
  const fault = (await probeDirectory(above)).find((probe) => !probe.ok);
  if (fault === undefined) {
    return {what, ok: true, detail: `${cluster} is not there yet; the first CREATE BACKUP COLLECTION makes it`};
  }
  return {...fault, what, detail: `${cluster} cannot be made: ${fault.what} of ${above}: ${fault.detail}`};
}

async function checkVault(deps: Deps): Promise<Check> {
  const place = await workplaceOf(deps);
  const vault = await openVaultAt(deps, place, {create: false}).catch((error: unknown) => {
    if (asPlain(error).code === 'VAULT_ABSENT') return undefined;
    throw error;
  });
  if (vault === undefined)
    return {what: 'vault', ok: true, detail: 'none yet; the first CREATE BACKUP COLLECTION makes it'};
  try {
    const folders = await readAllFolders(vault);
    const [damage] = folders.flatMap((folder) => folder.damage ?? []);
    if (damage !== undefined) {
      return {
        what: 'vault',
        ok: false,
        detail: damage.message,
        next: 'SHOW BACKUP COLLECTIONS names the collection; CREATE BACKUP COLLECTION … writes its definition anew',
      };
    }
    const backups = folders.reduce((sum, folder) => sum + folder.backups.length, 0);
    return {what: 'vault', ok: true, detail: `${vault.id}, ${folders.length} collections, ${backups} backups`};
  } finally {
    vault.close();
  }
}

/** Reads the source itself, and holds its change tracking against the collections that need it. */
export function checkSource(deps: Deps, {repair}: Options): Promise<Check[]> {
  return tried('source', async () => {
    const place = await workplaceOf(deps);
    const source = await openSourceAt(place);
    try {
      const checks = source.inspect().map((check) => ({...check, what: `source: ${check.what}`}));
      const owners = await knownOwners(deps);
      // Without the cluster nobody can say which tracking is needed, so none is judged, and none removed.
      if (owners === undefined) return checks;
      for (const {owner, tables, logRows} of source.tracking()) {
        const name = owners.get(owner);
        const what = 'source: tracking';
        const facts = `${tables.join(', ')}, ${logRows} changes logged`;
        if (name !== undefined) checks.push({what, ok: true, detail: `for collection ${name}: ${facts}`});
        else if (repair) {
          source.untrack(owner);
          checks.push({what, ok: true, detail: `removed, no collection of this cluster needed it: ${facts}`});
        } else {
          checks.push({
            what,
            ok: false,
            detail: `for a collection that this cluster does not have: ${facts}`,
            next: 'bkp doctor --repair removes it; leave it when the collection lies in another cluster',
          });
        }
      }
      return checks;
    } finally {
      source.close();
    }
  });
}

/** Owners of tracking are collection ids. Undefined when not every collection can be read; its own check tells why. */
async function knownOwners(deps: Deps): Promise<ReadonlyMap<string, string> | undefined> {
  const owners = new Map<string, string>();
  try {
    const vault = await openVaultAt(deps, await workplaceOf(deps), {create: false});
    try {
      for (const {newest, damage} of await readAllFolders(vault)) {
        if (damage !== undefined) return undefined;
        if (newest !== undefined && newest.dropped === undefined) owners.set(newest.id, newest.name);
      }
    } finally {
      vault.close();
    }
  } catch {
    return undefined;
  }
  return owners;
}

async function tried(what: string, check: () => Promise<Check[]>): Promise<Check[]> {
  try {
    return await check();
  } catch (error) {
    const {message, cause, next} = asPlain(error);
    return [
      {
        what,
        ok: false,
        detail: cause === undefined ? message : `${message}: ${cause}`,
        ...(next === undefined ? {} : {next}),
      },
    ];
  }
}
