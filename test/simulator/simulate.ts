import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {heal, manifestOrPinned} from '../../src/backups/index.ts';
import {
  alterCollection,
  type BackupName,
  cleanUp,
  copyCollection,
  createCollection,
  dropCollection,
  type FoldLimits,
  listBackups,
  pinBackup,
  planBackup,
  planRestore,
  readAllFolders,
  restoreBackup,
  takeBackup,
  unpinBackup,
  verifyBackups,
} from '../../src/collections/index.ts';
import {BkpError} from '../../src/errors/index.ts';
import type {Store} from '../../src/stores/index.ts';
import {openVault, type Vault} from '../../src/vault/index.ts';
import {Keys, OpenedView} from './keys.ts';
import {Oracle} from './oracle.ts';
import {Machine, SimulatedProcess, sleep} from './process.ts';
import {Random} from './random.ts';
import {FakeSource, FakeTarget} from './source.ts';
import {Disk, type StoreFaults, storeOf} from './store.ts';
import {World} from './world.ts';

const secondMs = 1000;
const hourMs = 60 * 60 * secondMs;

/** Shorter than in production, so that waiting for the end of a lease takes fewer events. */
const ttlMs = 20 * secondMs;

const collections = ['one', 'two'] as const;
type Collection = (typeof collections)[number];

/** Some are listed several times, because they run more often than others. */
const kinds = [
  ...(['full', 'full', 'full', 'full', 'incremental', 'incremental', 'drop', 'drop', 'drop'] as const),
  ...(['cleanup', 'cleanup', 'copy', 'verify', 'restore'] as const),
];

/** In some seeds, beside the others. */
const keepingKinds = ['pin', 'pin', 'pin', 'unpin', 'keep', 'keep'] as const;

/** In some seeds a disk loses or damages packs, and they are healed from a copy of it. */
const healingKinds = ['damage', 'damage', 'heal', 'heal', 'heal'] as const;

/** In some seeds the vaults are encrypted, and their keys change beside everything else. */
const keyKinds = ['add key', 'add key', 'remove key', 'rotate keys', 're-encrypt', 're-encrypt'] as const;

type Kind =
  | (typeof kinds)[number]
  | (typeof keepingKinds)[number]
  | (typeof healingKinds)[number]
  | (typeof keyKinds)[number];

type Outcome = 'done' | 'refused' | 'killed';

export type Simulated = {
  seed: number;
  events: number;
  /** How many pieces of work of each kind ended in each way. */
  work: Record<string, Partial<Record<Outcome, number>>>;
  /** An invariant that was violated. */
  failure?: string;
  /** Only with `traced`. */
  log?: readonly string[];
};

/** Simulates the world of one seed: three machines, two stores, some hours of backups, and their failures. */
export async function simulate(seed: number, options: {traced?: boolean} = {}): Promise<Simulated> {
  const simulation = new Simulation(seed, options);
  const failure = await simulation.run();
  const {events, log} = simulation.world;
  return {
    seed,
    events,
    work: simulation.work,
    ...(failure === undefined ? {} : {failure}),
    ...(log === undefined ? {} : {log}),
  };
}

class Simulation {
  readonly world: World;
  readonly work: Simulated['work'] = {};
  readonly #random: Random;
  readonly #disks: readonly [Disk, Disk];
  readonly #oracles: readonly Oracle[];
  readonly #machines: readonly Machine[];
  readonly #sources: Record<Collection, FakeSource>;
  readonly #faults: StoreFaults;
  readonly #graceMs: number;
  /** Decides about pins and rules; absent: this seed has none. */
  readonly #keeping: Random | undefined;
  /** Decides about damage and its repair; absent: this seed has none. */
  readonly #healing: Random | undefined;
  /** Who can open the vaults, and what is done to their keys; absent: this seed's vaults are not encrypted. */
  readonly #keys: Keys | undefined;
  /** The first store before each damage. */
  readonly #copies: Disk[] = [];
  /** When increments merge deltas, and take a new base. */
  readonly #fold: FoldLimits;
  /** With it, the processes of a machine share a local cache of each store. Absent: every process has its own. */
  readonly #cacheFolder: string | undefined;
  /** Backups that were reported as successful, in the first store, of collections that are never dropped. */
  readonly #good = new Set<string>();
  readonly #unpinned = new Set<string>();
  /** `one/<backup>` in the first store: PIN was reported as successful, and no UNPIN has ever begun. */
  readonly #pinned = new Set<string>();
  readonly #open = new Set<Vault>();
  #keptForEver: Collection | undefined;
  #pids = 0;
  #failure: string | undefined;

  constructor(seed: number, options: {traced?: boolean}) {
    this.#random = new Random(seed);
    const random = this.#random;
    this.world = new World(random, options);
    const kind = {isServer: random.chance(0.5), pageLength: random.pick([4, 1000])};
    this.#disks = [new Disk(this.world, 'a', kind), new Disk(this.world, 'b', kind)];
    const keys = new Random(seed ^ 0xc1ef);
    this.#keys = keys.chance(0.2) ? new Keys(keys) : undefined;
    const view = () => this.#keys && new OpenedView(this.#keys.owner);
    this.#oracles = this.#disks.map((disk) => new Oracle(disk, view()));
    const isCloned = random.chance(0.1);
    this.#machines = ['m1', 'm2', 'm3'].map((name) => {
      const space = random.chance(0.7) ? (isCloned ? 'cloned' : name) : undefined;
      return new Machine({name, space, skewMs: random.chance(0.3) ? random.between(-hourMs, hourMs) : 0});
    });
    this.#sources = {one: new FakeSource('one', random), two: new FakeSource('two', random)};
    this.#faults = {percent: random.pick([0, 0, 0.5, 2]), late: random.chance(0.5)};
    this.#graceMs = random.pick([0, hourMs]);
    this.#fold = {
      deltas: random.below(3),
      growth: random.pick([2, 1e9]),
      basePart: random.pick([0.25, 1]),
      leastKeys: random.pick([3, 1000]),
    };
    // These from their own numbers, so that the stories of other seeds do not change.
    const repeats = new Random(seed ^ 0x2e2c);
    if (repeats.chance(0.3)) this.#faults = {...this.#faults, repeats};
    const keeping = new Random(seed ^ 0x9eed);
    this.#keeping = keeping.chance(0.4) ? keeping : undefined;
    const healing = new Random(seed ^ 0x4ea1);
    // A pinned backup may be of a collection that was dropped, which VERIFY does not reach.
    this.#healing = this.#keeping === undefined && healing.chance(0.4) ? healing : undefined;
    if (new Random(seed ^ 0x5eed).chance(0.1)) this.#cacheFolder = mkdtempSync(join(tmpdir(), 'bkp-simulator-'));
  }

  async run(): Promise<string | undefined> {
    const {world} = this;
    try {
      await this.#undisturbed(() => this.#setUp());
      this.#plan();
      await world.run(
        () => this.#failure !== undefined,
        () => this.#check(),
      );
      if (this.#failure === undefined) await this.#undisturbed((process) => this.#checkEnd(process));
    } catch (error) {
      this.#failure ??= `${(error as Error).stack}`;
    } finally {
      for (const vault of this.#open) vault.close();
      if (this.#cacheFolder !== undefined) rmSync(this.#cacheFolder, {recursive: true, force: true});
    }
    return this.#failure;
  }

  async #check(): Promise<void> {
    for (const oracle of this.#oracles) this.#failure ??= await oracle.check();
  }

  /** Runs work without failures. */
  async #undisturbed(work: (process: SimulatedProcess) => Promise<void>): Promise<void> {
    const process = new SimulatedProcess(this.world, this.#machines[0]!, ++this.#pids);
    let isOver = false;
    const end = () => {
      isOver = true;
      process.end();
    };
    const done = work(process).then(end, (error: unknown) => {
      this.#failure ??= `undisturbed: ${(error as Error).stack}\n${JSON.stringify(error)}`;
      end();
    });
    await this.world.run(
      () => isOver,
      () => this.#check(),
    );
    await done;
  }

  async #setUp(): Promise<void> {
    const process = this.#machines[0]!.processes[0]!;
    for (const disk of this.#disks) await this.#openVault(process, disk, {percent: 0, late: false});
    const vault = await this.#openVault(process, this.#disks[0], {percent: 0, late: false});
    for (const collection of collections) {
      await this.#create(process, vault, collection);
      await this.#backup(process, vault, collection, 'full');
    }
    this.#keptForEver = this.#random.chance(0.5) ? this.#random.pick(collections) : undefined;
  }

  #create(process: SimulatedProcess, vault: Vault, name: Collection) {
    const keepLatest = name === 'two' ? [{key: 'KEEP_LATEST', value: '1'}] : [];
    return createCollection(
      {vault, nowMicros: () => process.clock.wallMs() * 1000, randomId: () => this.#random.hex(32)},
      {
        name,
        members: {kind: 'tables', tables: ['t']},
        settings: [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}, ...keepLatest],
        ifNotExists: true,
      },
    );
  }

  async #openVault(process: SimulatedProcess, disk: Disk, faults = this.#faults): Promise<Vault> {
    const vault = await openVault({
      store: storeOf(disk, process, faults),
      create: true,
      clock: process.clock,
      host: process.host,
      randomId: () => this.#random.hex(32),
      graceMs: this.#graceMs,
      leaseTtlMs: ttlMs,
      lockWaitMs: ttlMs / 2,
      encryption: this.#keys?.encryption(
        disk === this.#disks[0] && faults === this.#faults ? this.#keys.anyone() : undefined,
      ),
      ...(this.#cacheFolder === undefined
        ? {}
        : {cacheFile: join(this.#cacheFolder, `${process.machine.name}-${disk.name}.db`)}),
    });
    this.#open.add(vault);
    return vault;
  }

  /** Schedules pieces of work. */
  #plan(): void {
    const random = this.#random;
    const {world} = this;
    let atMs = 0;
    for (let left = random.between(4, 14); left > 0; left--) {
      // Some begin at the same time, others once the previous one has been taken for dead.
      atMs += random.pick([0, 100, 1000, 1000, 10_000, 25_000, 50_000, hourMs]);
      const afterMs = atMs;
      world.after(afterMs, () => this.#begin(random, random));
    }
    const healing = this.#healing;
    for (let left = healing?.between(2, 6) ?? 0; left > 0; left--) {
      world.after(healing!.below(atMs + 60 * secondMs), () => this.#begin(healing!, random));
    }
    const keys = this.#keys?.random;
    for (let left = keys?.between(1, 6) ?? 0; left > 0; left--) {
      world.after(keys!.below(atMs + 60 * secondMs), () => this.#begin(keys!, random));
    }
    const keeping = this.#keeping;
    for (let left = keeping?.between(1, 5) ?? 0; left > 0; left--) {
      world.after(keeping!.below(atMs + 60 * secondMs), () => this.#begin(keeping!, random));
    }
  }

  /** @param chooser the seed's numbers, or those for pins and rules */
  #begin(chooser: Random, fates: Random): void {
    const random = chooser;
    const machine = random.pick(this.#machines);
    if (machine.processes.some(({state}) => state === 'paused')) return;
    const process = new SimulatedProcess(this.world, machine, ++this.#pids);
    this.#decideFate(process, fates);
    const collection = random.pick(collections);
    const kind = this.#pickKind(random);
    if (kind === 'drop' && collection === this.#keptForEver) return;
    if (kind === 'full' || kind === 'incremental') this.#sources[collection].change();
    this.world.note(() => `${process.name} begins ${kind} ${collection}`);
    const tally = (outcome: Outcome) => {
      this.work[kind] ??= {};
      const counts = this.work[kind];
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    };
    // Counted as killed until it ends.
    tally('killed');
    const settle = (outcome: Outcome) => {
      this.work[kind]!.killed! -= 1;
      tally(outcome);
      process.end();
    };
    this.#work(process, kind, collection).then(
      () => {
        this.world.note(() => `${process.name} succeeds`);
        settle('done');
      },
      (error: unknown) => {
        this.world.note(() => `${process.name} fails: ${(error as Error).message}`);
        if (!(error instanceof BkpError)) this.#failure ??= (error as Error).stack ?? String(error);
        settle('refused');
      },
    );
  }

  /** @param chooser the seed's numbers, or those for pins and rules, or those for damage */
  #pickKind(chooser: Random): Kind {
    if (chooser === this.#keeping) return chooser.pick(keepingKinds);
    if (chooser === this.#keys?.random) return chooser.pick(keyKinds);
    return chooser === this.#healing ? chooser.pick(healingKinds) : chooser.pick(kinds);
  }

  #decideFate(process: SimulatedProcess, random: Random): void {
    const {world} = this;
    if (random.chance(0.4)) return;
    const pauseMs = random.between(5 * secondMs, 150 * secondMs);
    const fate = random.pick([
      () => process.kill(),
      () => process.pause(pauseMs),
      () => process.pause(pauseMs),
      () => {
        process.pause(pauseMs);
        // It continues, and is killed soon after.
        world.after(pauseMs, () => process.meets(random.below(3), () => process.kill()));
      },
      () => sleep(world, process.machine, pauseMs),
    ]);
    const [kind, calls] = random.pick([
      ['', 60],
      ['put', 6],
      ['manifest', 4],
      ['put a/.backups', 3],
      ['delete', 8],
      ['delete a/packs', 3],
      ['delete a/packs', 1],
    ] as const);
    process.meetsAtCall(kind, random.below(calls), fate);
  }

  async #work(process: SimulatedProcess, kind: Kind, collection: Collection): Promise<void> {
    const [a, b] = this.#disks;
    const vault = await this.#openVault(process, a);
    const server = storeOf(a, process, this.#faults);
    const tools = this.#tools(process, vault);
    const operation = `${kind}/${process.pid}`;
    switch (kind) {
      case 'full':
      case 'incremental': {
        await this.#create(process, vault, collection);
        const beyondKept = await this.#backup(process, vault, collection, kind);
        if (beyondKept > 0) await cleanUp(tools, operation, {collection});
        return;
      }
      case 'drop':
        await dropCollection(
          {vault, nowMicros: tools.nowMicros, randomId: () => this.#random.hex(32)},
          {name: collection, ifExists: true},
        );
        await cleanUp(tools, operation);
        return;
      case 'cleanup':
        await cleanUp(tools, operation, {collection});
        return;
      case 'copy': {
        const to = await this.#openVault(process, b);
        await copyCollection({...tools, from: vault, to}, {collection, storage: 's3', operation});
        return;
      }
      case 'verify':
        await verifyBackups(tools, {collection, level: 'data'});
        return;
      case 'restore':
        await this.#restore(process, vault, collection);
        return;
      case 'damage':
        this.#damage();
        return;
      case 'heal':
        await this.#heal(process, vault, collection);
        return;
      case 'pin':
        await this.#pin(process, vault, collection);
        return;
      case 'unpin': {
        const mine = [...this.#pinned].filter((pinned) => pinned.startsWith(collection));
        if (mine.length === 0) return;
        const point = this.#keeping!.pick(mine).slice(collection.length + 1);
        // From now on any pin of it may end, also one that is made later: the UNPIN may arrive after it.
        this.#pinned.delete(`${collection}/${point}`);
        this.#unpinned.add(`${collection}/${point}`);
        await unpinBackup(tools, {collection, point});
        return;
      }
      case 'add key':
        await this.#keys!.add(server, vault.id);
        return;
      case 'remove key':
        await this.#keys!.remove(server, vault.id);
        return;
      case 'rotate keys':
        await this.#keys!.rotate(server, vault.id);
        return;
      case 're-encrypt':
        await this.#reencrypt(process, vault, server);
        return;
      case 'keep': {
        const [key, value] = this.#keeping!.pick([
          ['KEEP_HOURLY', '2'],
          ['KEEP_WITHIN', '1 hour'],
          ['KEEP_LATEST', '2'],
          ['KEEP_DAILY', '1'],
        ] as const);
        const actions = [this.#keeping!.chance(0.5) ? 'set' : 'reset'].map((action) =>
          action === 'set' ? {kind: 'set' as const, settings: [{key, value}]} : {kind: 'reset' as const, keys: [key]},
        );
        // Of the other one, it is checked that all backups stay.
        await alterCollection({...tools, randomId: () => this.#random.hex(32)}, 'two', actions);
      }
    }
  }

  /** At once, and without a process: a disk needs none for it. The copy has everything as it was before. */
  #damage(): void {
    const random = this.#healing!;
    const [disk] = this.#disks;
    const packs = [...disk.raw.objects.keys()].filter((key) => key.startsWith('packs/')).sort();
    if (packs.length === 0) return;
    const key = random.pick(packs);
    const {bytes, modifiedAtMs} = disk.raw.objects.get(key)!;
    const how = random.pick(['flip', 'flip', 'cut', 'remove'] as const);
    this.world.note(() => `${disk.name}/${key} is damaged: ${how}`);
    this.#copies.push(disk.copy(`copy${this.#copies.length + 1}`));
    // Of a pack that was damaged before, the copy of that time has what was in it.
    if (!this.#oracles[0]!.damaged.has(key)) this.#oracles[0]!.damaged.set(key, bytes);
    disk.version += 1;
    if (how === 'remove') {
      disk.raw.objects.delete(key);
      return;
    }
    const changed = how === 'cut' ? bytes.slice(0, random.below(bytes.length)) : Uint8Array.from(bytes);
    if (how === 'flip') changed[random.below(bytes.length)]! ^= 1 << random.below(8);
    disk.raw.objects.set(key, {bytes: changed, modifiedAtMs});
  }

  async #heal(process: SimulatedProcess, vault: Vault, collection: Collection): Promise<void> {
    const tools = this.#tools(process, vault);
    const from: Vault[] = [];
    for (const copy of this.#copies) from.push(await this.#openVault(process, copy, {percent: 0, late: false}));
    const operation = `verify/${process.pid}`;
    await verifyBackups(
      {...tools, heal: (recipes, found) => heal({...tools, from, operation}, recipes, found)},
      {collection, level: 'data'},
    );
  }

  async #reencrypt(process: SimulatedProcess, vault: Vault, server: Store): Promise<void> {
    const keys = this.#keys!;
    await keys.rotate(server, vault.id, {all: true});
    const {damaged} = await vault.reencrypt({
      purpose: `reencrypt/${process.pid}`,
      finish: (generation) => keys.retire(server, vault.id, generation),
    });
    const [first] = damaged;
    if (first !== undefined) throw new BkpError('OBJECT_DAMAGED', first.detail);
  }

  async #pin(process: SimulatedProcess, vault: Vault, collection: Collection): Promise<void> {
    const tools = this.#tools(process, vault);
    const listed = await listBackups(vault, collection);
    if (listed.length === 0) return;
    const point: BackupName = this.#keeping!.pick(listed).name;
    await pinBackup(tools, {collection, point});
    if (!this.#unpinned.has(`${collection}/${point}`)) this.#pinned.add(`${collection}/${point}`);
  }

  async #backup(process: SimulatedProcess, vault: Vault, collection: Collection, type: 'full' | 'incremental') {
    const source = this.#sources[collection];
    const tools = this.#tools(process, vault);
    const name = await planBackup(vault, source, {collection, type, nowMicros: tools.nowMicros()});
    const fold = this.#fold;
    const request = {collection, type, name, operation: `${type}/${process.pid}`, fold};
    const {backup, beyondKept} = await takeBackup({...tools, source}, request);
    if (collection === this.#keptForEver && collection === 'one') this.#good.add(backup);
    return beyondKept;
  }

  #tools(process: SimulatedProcess, vault: Vault) {
    return {
      vault,
      nowMicros: () => process.clock.wallMs() * 1000,
      signal: new AbortController().signal,
      progress: () => {},
      notice: () => {},
      sleep: (ms: number) => process.clock.sleep(ms),
    };
  }

  async #restore(process: SimulatedProcess, vault: Vault, collection: Collection, point?: string): Promise<void> {
    const target = new FakeTarget(`of ${process.name}`, this.#random);
    const plan = await planRestore(vault, target, {collection, point});
    await restoreBackup({...this.#tools(process, vault), source: target}, {...plan, stagingId: 'x', check: 'quick'});
    const name = plan.backup;
    const key = `.backups/collections/${collection}/${name}/manifest`;
    const body = (await manifestOrPinned(vault, key)).body as {mark: string};
    const wanted = this.#sources[collection].history.get(body.mark)!;
    const found = [...target.restored].sort(([x], [y]) => x - y);
    if (JSON.stringify(found) !== JSON.stringify([...wanted])) {
      this.#failure ??= `${collection}/${name} has ${JSON.stringify(found)} instead of ${JSON.stringify([...wanted])}`;
    }
  }

  /**
   * At the end: a cleanup succeeds, every backup verifies and restores, and no backup that was reported as successful
   * is missing.
   */
  async #checkEnd(process: SimulatedProcess): Promise<void> {
    this.world.note(() => 'the end');
    for (const disk of this.#disks) {
      const vault = await this.#openVault(process, disk, {percent: 0, late: false});
      if (disk === this.#disks[0]) await this.#healAll(process, vault);
      await cleanUp(this.#tools(process, vault), 'last');
      if (disk === this.#disks[0]) {
        await this.#checkPinned(process, vault);
        this.#failure ??= await this.#keys?.check(disk.raw, vault.id);
      }
      for (const {newest} of await readAllFolders(vault)) {
        if (newest === undefined || newest.dropped !== undefined) continue;
        const collection = newest.name as Collection;
        const backups = await listBackups(vault, collection);
        if (disk === this.#disks[0] && collection === this.#keptForEver) {
          const listed = new Set(backups.map(({name}) => name as string));
          for (const name of this.#good)
            if (!listed.has(name)) this.#failure ??= `${name} was reported as successful, and is missing`;
        }
        if (backups.length === 0) continue;
        await verifyBackups(this.#tools(process, vault), {collection, level: 'data'});
        for (const {name} of backups) await this.#restore(process, vault, collection, name);
      }
    }
  }

  /** Whatever was damaged, and whatever backups did since: a copy has what brings it back. */
  async #healAll(process: SimulatedProcess, vault: Vault): Promise<void> {
    if (this.#copies.length === 0) return;
    for (const {newest, backups} of await readAllFolders(vault)) {
      if (newest === undefined || newest.dropped !== undefined || backups.length === 0) continue;
      await this.#heal(process, vault, newest.name as Collection);
    }
  }

  /** Also of a collection that was dropped in a race with PIN: it then has lost its definition. */
  async #checkPinned(process: SimulatedProcess, vault: Vault): Promise<void> {
    const folders = await readAllFolders(vault);
    for (const pinned of this.#pinned) {
      const [collection, backup] = pinned.split('/') as [Collection, BackupName];
      const isListed = folders.some(({name, backups}) => name === collection && backups.includes(backup));
      if (!isListed) this.#failure ??= `${pinned} is pinned, and is missing`;
      else await this.#restore(process, vault, collection, backup);
    }
  }
}
