import type {
  BaseOptions,
  BaseSegment,
  BaseStream,
  Segment,
  Snapshot,
  SnapshotOptions,
  Staging,
  StoredBase,
  TableBase,
  TableSource,
  Tree,
} from '../../src/sources/index.ts';

type Chunks = readonly (string | Buffer)[];
type FakeTree = Tree & {chunks: Chunks; failsAfter?: {chunks: number; error: Error}};

/** Tables that are made of any bytes, as rows or as trees; it notes what it is asked for. */
export class RecordsSource implements TableSource {
  readonly description = 'fake::';
  readonly abilities = {title: 'a fake', beside: 'file', modes: []} as const;
  /** For each table its trees, or why it has none. */
  readonly tables = new Map<string, readonly FakeTree[] | {reason: string | undefined}>();
  /** The changed keys of each table, in the next increment. */
  changed: Chunks = [];
  /** What `confirm` fails with. */
  voided: Error | undefined;
  /** Names of the trees that a restore wants. */
  wants: readonly string[] = [];
  readonly asked: {table: string; form: string | undefined; previous: Record<string, string> | undefined}[] = [];
  readonly bases: {lent: number; released: number} = {lent: 0, released: 0};
  readonly restored: string[] = [];
  staged: ReadonlyMap<string, StoredBase> | undefined;

  identity = async () => 'fake';
  origin = async () => undefined;
  leftBehind = async () => [];
  survey = async () => ({brings: new Map(), notices: []});
  choose: TableSource['choose'] = async (_, wanted) => ({
    tables: wanted.map(({name}) => ({name})),
    objects: [],
    notices: [],
  });
  brokenTracking = async () => [];
  removeBrokenTracking = async () => {};
  acknowledge = async () => {};
  untrack = async () => {};
  tracking = async () => [];
  discardStaging = async () => false;
  inspect = async () => [];
  close = async () => {};
  describe: TableSource['describe'] = async (names) =>
    (names === 'all' ? [...this.tables.keys()] : names).map((name) => ({
      name,
      state: this.tables.has(name) ? 'present' : 'absent',
    }));

  async snapshot({tables, track}: SnapshotOptions): Promise<Snapshot> {
    return {
      mark: track && 'mark',
      schemas: tables.map((name) => ({name, fingerprint: '', definition: {}})),
      objects: [],
      database: {},
      estimatedBytes: async () => 1,
      countRows: async () => 2,
      base: async (table, options) => this.#base(table, options),
      changes: async () => ({
        logged: this.changed.length,
        read: () => ({keys: plain(this.changed), rows: plain([]), changed: () => ({keys: 0, rows: 0})}),
      }),
      content: async () => undefined,
      confirm: async () => {
        if (this.voided !== undefined) throw this.voided;
      },
      close: async () => {},
    };
  }

  #base(table: string, {form, previous}: BaseOptions = {}): TableBase {
    this.asked.push({table, form, previous: previous && Object.fromEntries(previous)});
    const found = this.tables.get(table)!;
    if ('reason' in found) return {form: 'rows', rows: this.#stream(['r1', 'r2'], 'rows'), reason: found.reason};
    if (form === 'rows') return {form, rows: this.#stream(['r1', 'r2'], 'rows')};
    const trees = found.map(({name, kind, fingerprint, chunks, failsAfter}) => ({
      name,
      kind,
      fingerprint,
      records: this.#stream(chunks, name, failsAfter),
    }));
    return {form: 'records', trees};
  }

  #stream(chunks: Chunks, name: string, failsAfter?: FakeTree['failsAfter']): BaseStream {
    const lend = (chunk: string | Buffer, at: number): BaseSegment => {
      this.bases.lent++;
      return {
        bytes: Buffer.from(chunk as string),
        rows: 1,
        previous: at,
        release: () => {
          this.bases.released++;
        },
      };
    };
    return {
      cuts: () => `cuts of ${name}`,
      async *[Symbol.asyncIterator]() {
        for (const [at, chunk] of chunks.entries()) {
          if (failsAfter?.chunks === at) throw failsAfter.error;
          yield lend(chunk, at);
        }
      },
    };
  }

  stage: TableSource['stage'] = async (schemas, {bases}) => {
    this.staged = bases;
    const put = (what: string, name: string, bytes: Uint8Array) => {
      const text = bytes.length > 50 ? `${bytes.length} bytes` : Buffer.from(bytes).toString();
      this.restored.push(`${what} ${name}: ${text}`);
      return 1;
    };
    const staging: Staging = {
      wanted: (table) => bases!.get(table)!.trees.filter(({name}) => this.wants.includes(name)),
      loadTree: async (_, {name, kind}, chunks) => {
        for await (const chunk of chunks) put(kind, name, chunk);
      },
      load: async (table, segment) => put('rows', table, segment),
      removeKeys: async (table, segment) => put('keys', table, segment),
      finish: async () => schemas.map(({name}) => ({name, rows: bases?.get(name)?.trees[0]?.records ?? 2})),
      publish: async () => {},
      merge: async () => [],
      compare: async () => [],
      discard: async () => {},
    };
    return staging;
  };
}

async function* plain(chunks: Chunks): AsyncGenerator<Segment> {
  for (const chunk of chunks) yield {bytes: Buffer.from(chunk as string), rows: 1};
}
