import {randomBytes} from 'node:crypto';
import {accessSync, constants, statfsSync} from 'node:fs';
import {hostname} from 'node:os';
import type {Definition} from '../../collections/index.ts';
import {exposures, type Home, makeInHome, openToOthers, profileName} from '../../config/index.ts';
import {formatBytes, formatCount} from '../../lib/figures.ts';
import {systemProcesses} from '../../lib/processes.ts';
import {shellQuoted} from '../../lib/text.ts';
import {microsText} from '../../lib/time.ts';
import {type Operation, operationId} from '../../ops/index.ts';
import {
  type CheckpointSource,
  capabilitiesOf,
  openCheckpointSource,
  type SourceCheck,
  type SourceSpec,
  type TableSource,
} from '../../sources/index.ts';
import {repairHeader} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {checkKeys} from '../keys/check-keys.ts';
import {knownVault} from '../places/known-vaults.ts';
import {placesOf} from '../places/places.ts';
import {openSourceAt, sourceSpecOf} from '../places/source-places.ts';
import {openStoreAt, type Workplace} from '../places/workplace.ts';
import {elsewhere} from '../workers/elsewhere.ts';
import {type Check, tried} from './check.ts';
import {checkPlace} from './check-place.ts';
import {StoreFolders} from './store-folders.ts';

/** `folders`: absent: these checks read the collections for themselves. */
type Options = {repair: boolean; folders?: StoreFolders};

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

export async function checkHome(deps: Deps): Promise<Check[]> {
  const checks = await tried('home', async () => {
    const {dir} = deps.home;
    makeInHome(deps.home, dir);
    accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK);
    const journal = await deps.journal();
    const open = await journal.open();
    return [
      {what: 'home', ok: true, detail: dir},
      ...openHome(deps.home),
      {
        what: 'journal',
        ok: true,
        detail: `${formatCount((await journal.lastNumber()) ?? 0, 'operation')} so far, ${open.length} open`,
      },
      ...open.flatMap((operation) => silentElsewhere(operation, deps.nowMicros())),
    ];
  });
  return [...fullHome(deps.home), ...checks];
}

/** A worker reports several times a second, so one that is silent for a minute has stalled or is dead. */
const silentMicros = 60e6;

function silentElsewhere(operation: Operation, nowMicros: number): Check[] {
  const found = elsewhere(operation, hostname());
  if (found === undefined || operation.state.name !== 'running') return [];
  if (nowMicros - operation.state.heartbeatAtMicros <= silentMicros) return [];
  return [{what: 'journal: worker', ok: false, ...found}];
}

/** The journal needs little; a SELECT from backups says itself how much it needs. */
const tooLittleBytes = 1024 * 1024;

function fullHome({dir}: Home): Check[] {
  const freeBytes = freeBytesOf(dir);
  if (freeBytes === undefined || freeBytes >= tooLittleBytes) return [];
  const detail = `the disk of ${dir} is full: ${formatBytes(freeBytes)} free`;
  return [{what: 'home: free space', ok: false, detail, next: `free space there: df -h ${shellQuoted(dir)}`}];
}

/** @returns undefined if it is unknown, as of a folder that could not be made */
function freeBytesOf(folder: string): number | undefined {
  try {
    const {bavail, bsize} = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/** Files of an earlier bkp, or made by hand, that others can read. */
function openHome(home: Home): Check[] {
  const [first, ...more] = openToOthers(home);
  if (first === undefined) return [];
  const others = more.length === 0 ? '' : ` and ${more.length} more in ${home.dir}`;
  const own = [first, ...more].map((path) => `'${path}'`);
  const close = home.isUsual ? `chmod -R go-rwx '${home.dir}'` : `chmod -R go-rwx ${own.slice(0, 4).join(' ')}`;
  return [{what: 'home: rights', ok: false, detail: `other users can access ${first}${others}`, next: close}];
}

export function checkProfile(deps: Deps): Promise<Check[]> {
  return tried('profile', async () => {
    await deps.settings();
    const name = await profileName(deps);
    const file = {what: 'profile', ok: true, detail: `${name} (${deps.home.configFile})`};
    return [file, ...(await exposures(deps)).map((detail) => ({what: 'secrets', ok: false, detail}))];
  });
}

/** Checks each store of the profile. */
export function checkStores(deps: Deps, options: Options): Promise<Check[]> {
  const {repair, folders = new StoreFolders(deps)} = options;
  return tried('store', async () => {
    const checks: Check[] = [];
    for (const place of await placesOf(deps)) {
      const found = await checkPlace(deps, place, folders);
      const isVaultAtFault = found.some(({what, ok}) => what === 'vault' && !ok);
      checks.push(...(repair && isVaultAtFault ? await withHeader(deps, place, {found, folders}) : found));
      if (!isVaultAtFault) checks.push(...(await checkKeysAt(deps, place, options)));
    }
    return checks;
  });
}

/** The keys of an encrypted vault are in the store twice. */
function checkKeysAt(deps: Deps, place: Workplace, options: Options): Promise<Check[]> {
  const what = `${place.storage}: keys`;
  return tried(what, async () => {
    const facts = await checkKeys(deps, place, options);
    if (facts === undefined) return [];
    const {atFault, slots, faults} = facts;
    const checks: Check[] = slots === undefined ? [] : [{what, ok: true, detail: slots}];
    checks.push(...faults.map((fault) => ({what, ok: false, ...fault})));
    if (atFault.length === 0) return checks;
    const detail = `${options.repair ? 'written again' : 'missing or damaged'}: ${atFault.join(', ')}`;
    return [...checks, {what, ok: options.repair, detail, ...(options.repair ? {} : {next: 'bkp doctor --repair'})}];
  });
}

/** Rewrites the vault's header if that is the fault, then checks again. */
function withHeader(
  deps: Deps,
  place: Workplace,
  {found, folders}: {found: readonly Check[]; folders: StoreFolders},
): Promise<Check[]> {
  return tried('vault', async () => {
    const store = await openStoreAt(deps, place, {create: false});
    const id = knownVault(deps.home, place.store) ?? randomBytes(16).toString('hex');
    if (!(await repairHeader(store, id))) return [...found];
    const detail = `its header was missing or damaged and was rewritten in ${store.description}`;
    return [{what: 'vault', ok: true, detail}, ...(await checkPlace(deps, place, folders))];
  });
}

/** Checks the source, and compares its change tracking with the collections that need it. */
export function checkSource(deps: Deps, options: Options): Promise<Check[]> {
  return tried('source', async () => {
    const [place] = await placesOf(deps);
    const spec = await sourceSpecOf(deps, place);
    const {tables, checkpoints} = capabilitiesOf(spec.scheme);
    return [
      ...(tables ? await checkTables(deps, place, options) : []),
      ...(checkpoints ? await checkServer(deps, spec, options) : []),
    ];
  });
}

const ofSource = (check: SourceCheck): Check => ({...check, what: `source: ${check.what}`});

async function checkTables(
  deps: Deps,
  place: Workplace,
  {repair, folders = new StoreFolders(deps)}: Options,
): Promise<Check[]> {
  const source = await openSourceAt(deps, place);
  try {
    const collections = await knownCollections(deps, folders);
    const checks = (await source.inspect(collections && neededBy(collections))).map(ofSource);
    checks.push(...(await checkBrokenTracking(source, repair)));
    const owners = collections && new Map(collections.map(({id, name}) => [id, name]));
    // Without the cluster it is unknown which tracking is needed, so none is reported or removed.
    if (owners === undefined) return checks;
    for (const {owner, tables, logRows} of await source.tracking()) {
      const name = owners.get(owner);
      const what = 'source: tracking';
      const facts = `${tables.join(', ')}, ${formatCount(logRows, 'change')} logged`;
      if (name !== undefined) checks.push({what, ok: true, detail: `for collection ${name}: ${facts}`});
      else if (repair) {
        await source.untrack(owner);
        checks.push({what, ok: true, detail: `removed, because no collection of this cluster needed it: ${facts}`});
      } else {
        checks.push({
          what,
          ok: false,
          detail: `for a collection that this cluster does not have: ${facts}`,
          next: 'bkp doctor --repair removes it; keep it if the collection is in another cluster',
        });
      }
    }
    return checks;
  } finally {
    await source.close();
  }
}

/** Broken tracking is useless to every collection in every cluster, so no cluster is needed to judge it. */
async function checkBrokenTracking(source: TableSource, repair: boolean): Promise<Check[]> {
  const what = 'source: tracking';
  const broken = await source.brokenTracking();
  if (repair) await source.removeBrokenTracking();
  return broken.map(({detail}) =>
    repair
      ? {what, ok: true, detail: `removed: ${detail}`}
      : {what, ok: false, detail, next: 'bkp doctor --repair removes it; the next backup tracks changes again'},
  );
}

/** The server responds, lets bkp create checkpoints, has the configured root, and holds no abandoned checkpoint. */
async function checkServer(deps: Deps, spec: SourceSpec, {repair}: Pick<Options, 'repair'>): Promise<Check[]> {
  const source = await openCheckpointSource(spec, systemProcesses);
  try {
    return [...(await source.inspect()).map(ofSource), await checkCheckpoint(deps, source, {repair})];
  } finally {
    await source.close();
  }
}

async function checkCheckpoint(
  deps: Deps,
  source: CheckpointSource,
  {repair}: Pick<Options, 'repair'>,
): Promise<Check> {
  const what = 'source: checkpoint';
  const released = repair ? await source.releaseDead() : undefined;
  if (released !== undefined) return {what, ok: true, detail: `released: ${released}, which held it, has ended`};
  const held = await source.heldCheckpoint();
  if (held === undefined) return {what, ok: true, detail: 'no checkpoint is held'};
  const since = microsText(held.startedAtMicros);
  const journal = await deps.journal();
  const isOpenHere = (await journal.open()).some((operation) => operationId(operation) === held.hold);
  if (held.fate === 'alive' || (isOpenHere && held.fate !== 'dead')) {
    return {what, ok: true, detail: `held by ${held.hold} since ${since}`};
  }
  const where = held.host === undefined ? '' : ` on ${held.host}`;
  const whose =
    held.hold === undefined
      ? 'another program'
      : held.fate === 'dead'
        ? `${held.hold}, whose process has ended,`
        : `${held.hold}${where}, which may have ended,`;
  return {
    what,
    ok: false,
    detail: `held by ${whose} since ${since}: the server keeps old versions on disk until it is released`,
    next:
      held.fate === 'dead'
        ? 'bkp doctor --repair releases it, and so does the next BACKUP DATABASE'
        : 'when no program copies its files: bkp sql "CHECKPOINT RELEASE"',
  };
}

/** What the collections need of the source; everything if there is none yet. */
function neededBy(collections: readonly Definition[]): Parameters<TableSource['inspect']>[0] {
  const tablesOf = (some: readonly Definition[]) =>
    some.some(({members}) => members.kind === 'database')
      ? 'all'
      : some.flatMap(({members}) => (members.kind === 'tables' ? members.tables : []));
  if (collections.length === 0) return undefined;
  return {read: tablesOf(collections), track: tablesOf(collections.filter(({settings}) => settings.incremental))};
}

/** The living collections of the cluster. Undefined unless every one can be read; checkStores reports why. */
async function knownCollections(deps: Deps, known: StoreFolders): Promise<readonly Definition[] | undefined> {
  const collections: Definition[] = [];
  let vaults = 0;
  try {
    for (const place of await placesOf(deps)) {
      const folders = await known.of(place);
      vaults += folders === undefined ? 0 : 1;
      for (const {newest, damage} of folders ?? []) {
        if (damage !== undefined) return undefined;
        if (newest !== undefined && newest.dropped === undefined) collections.push(newest);
      }
    }
  } catch {
    return undefined;
  }
  return vaults === 0 ? undefined : collections;
}
