import {createHash} from 'node:crypto';
import {type DatabaseRetentionPlan, takeDatabaseBackup} from '../../src/database/index.ts';
import {BkpError} from '../../src/errors/index.ts';
import type {DatabaseMoment, FileSource, FileTarget, Frozen, FrozenFile} from '../../src/sources/index.ts';
import type {Vault} from '../../src/vault/index.ts';

type FakeFile = {bytes: Buffer; table?: string; zeroTailBytes: number; optional?: true; stamped: boolean};

/** A database of files in memory. Frozen content does not change; reads and releases are counted. */
export class FakeDatabase implements FileSource {
  readonly description = 'fake::';
  readonly files = new Map<string, FakeFile>();
  readonly reads: string[] = [];
  blockBytes = 64;
  freezes = 0;
  releases = 0;
  confirms = 0;
  /** Called before each block is returned. */
  onRead: (path: string) => void = () => {};
  voided = false;
  /** The time of the next freeze; absent: long ago. */
  takenAtMicros: number | undefined;
  /** See {@link Frozen.lineageOf}. */
  lineageOf: (path: string) => string = (path) => path;
  #dataId: string;

  constructor(dataId = 'd'.repeat(32)) {
    this.#dataId = dataId;
  }

  set(path: string, bytes: Uint8Array | string, facts: Partial<FakeFile> = {}): void {
    const before = this.files.get(path);
    const kept = before ?? {zeroTailBytes: 0, stamped: true};
    this.files.set(path, {...kept, ...facts, bytes: Buffer.from(bytes as Uint8Array)});
  }

  async dataId(): Promise<string> {
    return this.#dataId;
  }

  /** Its place; a copy of it is at another one. */
  place = {host: 'db1', path: '/srv/db', file: '1'};

  origin() {
    return this.place;
  }

  async freeze({signal}: {signal: AbortSignal}): Promise<Frozen> {
    signal.throwIfAborted();
    this.freezes++;
    const moment = new Map(this.files);
    const {reads, blockBytes, lineageOf} = this;
    const facts: DatabaseMoment = {
      product: 'questdb',
      version: '9.3.4',
      tables: [...new Set([...moment.values()].flatMap(({table}) => table ?? []))].map((name) => ({name, rows: 1})),
    };
    const read = async function* (this: FakeDatabase, {path}: FrozenFile): AsyncGenerator<Uint8Array> {
      reads.push(path);
      const {bytes} = moment.get(path)!;
      for (let at = 0; at < bytes.length; at += blockBytes) {
        this.onRead(path);
        await Promise.resolve();
        yield Buffer.from(bytes.subarray(at, at + blockBytes));
      }
    };
    return {
      takenAtMicros: this.takenAtMicros ?? 1_700_000_000_000_000 + this.freezes,
      facts,
      async *files() {
        for (const [path, {bytes, table, zeroTailBytes, optional, stamped}] of [...moment].sort()) {
          yield {
            path,
            sizeBytes: bytes.length,
            zeroTailBytes,
            blockBytes,
            ...(table === undefined ? {} : {table}),
            ...(optional === undefined ? {} : {optional}),
            ...(stamped ? {stamp: createHash('sha256').update(bytes).digest('hex')} : {}),
          };
        }
      },
      lineageOf,
      read: read.bind(this),
      confirm: async () => {
        this.confirms++;
        if (this.voided) throw new BkpError('SOURCE_UNAVAILABLE', 'the checkpoint was not held all the time');
      },
      release: async () => {
        this.releases++;
      },
    };
  }

  async releaseLeftover(): Promise<void> {}

  async close(): Promise<void> {}
}

/** A restore target in memory. */
export class FakeTarget implements FileTarget {
  readonly staged = new Map<string, Buffer>();
  published: Map<string, Buffer> | undefined;
  failed: readonly string[] | undefined;
  prepared: DatabaseMoment | undefined;
  readonly written: string[] = [];
  /** Called before a file is written. */
  onWrite: (path: string) => void = () => {};

  async prepare(facts: DatabaseMoment): Promise<void> {
    if (this.failed !== undefined) throw new BkpError('PRECONDITION', 'Failed restore directory found');
    this.prepared = facts;
  }

  async write(file: FrozenFile, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = [];
    for await (const part of bytes) parts.push(Uint8Array.from(part));
    this.onWrite(file.path);
    this.staged.set(file.path, Buffer.concat(parts));
    this.written.push(file.path);
  }

  async finished(file: FrozenFile): Promise<AsyncIterable<Uint8Array> | undefined> {
    const found = this.staged.get(file.path);
    if (found === undefined) return undefined;
    return (async function* () {
      // In pieces that differ from the blocks.
      for (let at = 0; at < found.length; at += 50) yield found.subarray(at, at + 50);
    })();
  }

  async publish(): Promise<undefined> {
    this.published = new Map([...this.staged].sort());
  }

  async fail(tables: readonly string[]): Promise<void> {
    this.failed = tables;
  }
}

let clockMicros = 1_750_000_000_000_000;

/** The tools of a piece of work. The clock advances by 10 µs at each reading. */
export const surroundings = (signal = new AbortController().signal) => ({
  nowMicros: () => {
    clockMicros += 10;
    return clockMicros;
  },
  signal,
  progress: () => {},
  notice: () => {},
});

export const takeBackup = (
  vault: Vault,
  source: FileSource,
  options: {instance?: string; adopt?: string; differences?: boolean} = {},
) => takeDatabaseBackup({...surroundings(), vault, source}, {operation: 'backup/1', ...options});

/** The content of the database, as {@link FakeTarget} publishes it. */
export const contentOf = (database: FakeDatabase, which: (file: FakeFile) => boolean = ({optional}) => !optional) =>
  new Map(
    [...database.files]
      .filter(([, file]) => which(file))
      .map(([path, {bytes}]) => [path, bytes] as const)
      .sort(),
  );

export const toRemove = ({verdicts}: DatabaseRetentionPlan) => verdicts.filter(({goes}) => goes);
export const toKeep = ({verdicts}: DatabaseRetentionPlan) => verdicts.filter(({goes}) => !goes);
