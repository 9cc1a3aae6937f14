import {BkpError} from '../../src/errors/index.ts';
import type {Key, ObjectFacts, PutOptions, Store} from '../../src/stores/index.ts';
import {openMemoryStore} from '../../src/stores/index.ts';
import type {SimulatedProcess} from './process.ts';
import type {Random} from './random.ts';
import type {World} from './world.ts';

/** A caller waits at most this long for a reply. */
const timeoutMs = 10_000;

/** Of the changes, in the worlds in which some are repeated; of manifests more, because there are few. */
const repeatedPart = 0.02;
const repeatedManifests = 0.4;

export type StoreFaults = {
  /** How many percent of the calls fail in one of the ways. */
  percent: number;
  /** Whether requests may arrive after they were reported as failed. */
  late: boolean;
  /** Decides which changes are sent twice, so that the first copy arrives later; absent: none. */
  repeats?: Random | undefined;
};

/** The content of a server or a disk. */
export class Disk {
  readonly name: string;
  readonly world: World;
  readonly raw: ReturnType<typeof openMemoryStore>;
  /** True: vaults list everything at once. False: one listing for each folder. */
  readonly isServer: boolean;
  readonly pageLength: number;
  /** Increases with every change. */
  version = 0;

  constructor(world: World, name: string, options: {isServer: boolean; pageLength: number}) {
    this.world = world;
    this.name = name;
    this.isServer = options.isServer;
    this.pageLength = options.pageLength;
    this.raw = openMemoryStore({nowMs: () => world.nowMs});
  }

  put(key: Key, body: Uint8Array, options?: PutOptions): 'written' | 'exists' {
    const {objects} = this.raw;
    if (options?.ifAbsent && objects.has(key)) return 'exists';
    objects.set(key, {bytes: body, modifiedAtMs: this.world.nowMs});
    this.version += 1;
    return 'written';
  }

  delete(key: Key): void {
    if (this.raw.objects.delete(key)) this.version += 1;
  }

  /** Another disk with the same objects, as a backup of this one. */
  copy(name: string): Disk {
    const disk = new Disk(this.world, name, this);
    for (const [key, object] of this.raw.objects) disk.raw.objects.set(key, object);
    return disk;
  }

  page(prefix: string, after: Key, length: number): ObjectFacts[] {
    const {objects} = this.raw;
    const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    return keys.slice(0, length).map((key) => {
      const {bytes, modifiedAtMs} = objects.get(key)!;
      return {key, sizeBytes: bytes.length, modifiedAtMs};
    });
  }
}

const lost = (what: string) =>
  new BkpError('STORE_UNAVAILABLE', `no reply to ${what}`, {next: 'try again', retryable: true});

/** The store of one process, whose requests and replies can be late or lost. */
export function storeOf(disk: Disk, process: SimulatedProcess, faults: StoreFaults): Store {
  const {world} = disk;
  const {random} = world;

  /**
   * @param act changes the store immediately, and returns the reply
   * @param onRepeated of a change that is sent twice
   */
  function call<Reply>(what: string, act: () => Reply, onRepeated?: () => void): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const isChange = !what.startsWith('get') && !what.startsWith('list') && !what.startsWith('stat');
      const arrive = () => {
        world.note(() => `${process.name} ${what}`);
        return act();
      };
      const fail = (ms: number) => world.after(ms, () => process.deliver(() => reject(lost(what))));
      const succeed = (ms: number) => {
        world.after(ms, () => {
          let reply: () => void;
          try {
            const result = arrive();
            reply = () => resolve(result);
          } catch (error) {
            reply = () => reject(error);
          }
          world.after(random.between(0, 20), () => process.deliver(reply));
        });
      };
      const send = () => {
        const {repeats} = faults;
        if (isChange && repeats?.chance(what.endsWith('/manifest') ? repeatedManifests : repeatedPart)) {
          const lateMs = repeats.between(timeoutMs, 3 * 60 * 60 * 1000);
          world.note(() => `${process.name} ${what} is repeated; the first copy will be late by ${lateMs / 1000} s`);
          world.after(lateMs, () => ignoringErrors(arrive));
          onRepeated?.();
          return succeed(repeats.between(0, 20));
        }
        if (!random.chance(faults.percent / 100)) return succeed(random.between(0, 20));
        const fault = random.below(isChange && faults.late ? 5 : 3);
        if (fault === 0) return succeed(random.between(500, 40_000));
        if (fault === 1) return fail(timeoutMs);
        if (fault === 2) {
          world.after(random.between(0, 20), () => ignoringErrors(arrive));
          return fail(timeoutMs);
        }
        const lateMs = random.between(timeoutMs, 3 * 60 * 60 * 1000);
        world.note(() => `${process.name} ${what} will be late by ${lateMs / 1000} s`);
        world.after(lateMs, () => ignoringErrors(arrive));
        return fail(fault === 3 ? timeoutMs : random.between(0, 20));
      };
      // The process may be paused or killed before the request is sent.
      world.after(random.between(0, 3), () =>
        process.deliver(() => {
          process.calls(what);
          process.deliver(send);
        }),
      );
    });
  }

  return {
    description: `memory ${disk.name}`,
    properties: {versions: disk.isServer, flatListing: disk.isServer, objectLock: false},
    async put(key, body, options) {
      const bytes = Uint8Array.from(body);
      return call(
        `put ${disk.name}/${key}`,
        () => disk.put(key, bytes, options),
        () => options?.onRepeated?.(),
      );
    },
    get: (key, range) =>
      call(`get ${disk.name}/${key}`, () => {
        const object = disk.raw.objects.get(key);
        if (object === undefined) {
          throw new BkpError('OBJECT_MISSING', `${key} is missing`, {context: {key}});
        }
        if (range !== undefined && !range.mayEndEarly && range.end > object.bytes.length) {
          throw new BkpError('OBJECT_DAMAGED', `${key} is too short`, {context: {key}});
        }
        return Uint8Array.from(range === undefined ? object.bytes : object.bytes.subarray(range.start, range.end));
      }),
    async *list(prefix, {after = ''} = {}) {
      for (;;) {
        const page = await call(`list ${disk.name}/${prefix}`, () => disk.page(prefix, after, disk.pageLength));
        yield* page;
        if (page.length < disk.pageLength) return;
        after = page.at(-1)!.key;
      }
    },
    async delete(keys) {
      // On a disk one after the other, on a server all concurrently.
      const one = (key: Key) => call(`delete ${disk.name}/${key}`, () => disk.delete(key));
      if (disk.isServer) await Promise.all(keys.map(one));
      else for (const key of keys) await one(key);
      return [];
    },
    stat: (key) =>
      call(`stat ${disk.name}/${key}`, () => {
        const object = disk.raw.objects.get(key);
        return object && {key, sizeBytes: object.bytes.length, modifiedAtMs: object.modifiedAtMs};
      }),
  };
}

function ignoringErrors(act: () => unknown): void {
  try {
    act();
  } catch {
    // The caller no longer waits for the reply.
  }
}
