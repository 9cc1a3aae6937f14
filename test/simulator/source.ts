import {BkpError} from '../../src/errors/index.ts';
import {
  type BaseOptions,
  type BaseStream,
  type Changes,
  type DeltaStream,
  type Segment,
  type Snapshot,
  type SnapshotOptions,
  type Staging,
  type StoredBase,
  type TableBase,
  type TableName,
  type TableSchema,
  type TableSource,
  TakeRows,
} from '../../src/sources/index.ts';
import type {Random} from './random.ts';

/** The one table of a simulated database. */
export const table = 't';
/** Its index, by value. */
const index = 'i';

/** Few values, so that old content returns, and with it the chunks of older packs. */
const keys = 4;
const values = 2;
const rowsPerSegment = 2;

type Rows = ReadonlyMap<number, number>;

const schema: TableSchema = {name: table, fingerprint: 'one', definition: {}};

/** A database in memory: rows of a key and a number, a log of changed keys, and marks in the log. */
export class FakeSource implements TableSource {
  readonly description: string;
  readonly abilities = {title: 'a fake', beside: 'file', modes: []} as const;
  readonly #random: Random;
  readonly #rows = new Map<number, number>();
  readonly #log: number[] = [];
  #marks = new Map<string, number>();
  /** The rows that a backup with this mark must contain. */
  readonly history = new Map<string, Rows>();

  constructor(name: string, random: Random) {
    this.description = `fake ${name}`;
    this.#random = random;
    for (let key = 0; key < keys; key++) this.#rows.set(key, random.below(values));
  }

  change(): void {
    for (let changes = this.#random.pick([0, 0, 1, 2]); changes > 0; changes--) {
      const key = this.#random.below(keys);
      if (this.#random.chance(0.2)) this.#rows.delete(key);
      else this.#rows.set(key, this.#random.below(values));
      this.#log.push(key);
    }
  }

  identity = async () => this.description;
  origin = async () => undefined;
  leftBehind = async () => [];
  survey = async () => ({brings: new Map(), notices: []});
  choose = async () => ({tables: [{name: table}], objects: [], notices: []});
  brokenTracking = async () => [];
  removeBrokenTracking = async () => {};
  describe = async () => [{name: table, state: 'present' as const}];

  async snapshot({track, since}: SnapshotOptions): Promise<Snapshot> {
    const logged = this.#log.length;
    const from = since === undefined ? undefined : this.#marks.get(since.mark);
    if (since !== undefined && from === undefined) throw new BkpError('CHAIN_BROKEN', 'the mark is not known');
    const rows = new Map([...this.#rows].sort(([a], [b]) => a - b));
    const mark = track === undefined ? undefined : this.#random.hex(16);
    if (mark !== undefined) {
      this.#marks.set(mark, logged);
      this.history.set(mark, rows);
    }
    const touched = [...new Set(this.#log.slice(from ?? 0, logged))].sort((a, b) => a - b);
    return {
      mark,
      schemas: [schema],
      objects: [],
      database: {},
      estimatedBytes: async () => 1000,
      countRows: async () => rows.size,
      base: async (_, options) => this.#base(rows, options),
      content: async () => undefined,
      confirm: async () => {},
      changes: async (): Promise<Changes> => ({
        logged: touched.length,
        read: (earlier) => deltaOf(touched, rows, earlier),
      }),
      close: async () => {},
    };
  }

  /** Rows, records, or records that turn out not to serve. */
  #base(rows: Rows, {previous, form = this.#random.pick([undefined, 'rows'])}: BaseOptions = {}): TableBase {
    const own = () => baseOf([...rows], keys, previous?.get(table));
    if (form === 'rows') return {form, rows: own()};
    const entries = baseOf(indexEntries(rows), keys * values, previous?.get(index));
    const records = this.#random.chance(0.1) ? failing(entries) : entries;
    return {
      form: 'records',
      trees: [
        {name: table, kind: 'rowid', records: own()},
        {name: index, kind: 'key', records},
      ],
    };
  }

  async acknowledge(_: string, mark: string): Promise<void> {
    const position = this.#marks.get(mark)!;
    this.#marks = new Map([...this.#marks].filter(([, at]) => at >= position));
  }

  untrack = async () => {};
  tracking = async () => [];
  discardStaging = async () => false;
  inspect = async () => [];
  close = async () => {};
  stage(..._: unknown[]): Promise<Staging> {
    throw new Error('backups are restored into another source');
  }
}

/** Where a backup is restored to. */
export class FakeTarget extends FakeSource {
  readonly restored = new Map<number, number>();
  readonly #wantsIndex: boolean;

  constructor(name: string, random: Random) {
    super(name, random);
    this.#wantsIndex = random.chance(0.5);
  }

  override describe = async () => [{name: table, state: 'absent' as const}] as never;

  override async stage(_: unknown, {bases}: {bases?: ReadonlyMap<TableName, StoredBase>}): Promise<Staging> {
    const trees = bases?.get(table)?.trees ?? [];
    const put = (segment: Uint8Array) => {
      const rows = parse(segment);
      for (const [key, value] of rows) this.restored.set(key!, value!);
      return rows.length;
    };
    return {
      wanted: () => trees.filter(({name}) => name === table || this.#wantsIndex),
      loadTree: async (_, {name, records}, chunks) => {
        const found: (readonly number[])[] = [];
        for await (const chunk of chunks) {
          if (name === table) put(chunk);
          found.push(...parse(chunk));
        }
        const expected = name === table ? [...this.restored] : indexEntries(this.restored);
        if (found.length === records && JSON.stringify(found) === JSON.stringify(expected)) return;
        throw new BkpError('OBJECT_DAMAGED', `${name} has ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
      },
      load: async (_, segment) => put(segment),
      removeKeys: async (_, segment) => {
        const gone = parse(segment);
        for (const [key] of gone) this.restored.delete(key!);
        return gone.length;
      },
      finish: async () => [{name: table, rows: this.restored.size}],
      publish: async () => {},
      merge: async () => [],
      compare: async () => [],
      discard: async () => {},
    };
  }
}

const parse = (segment: Uint8Array) =>
  JSON.parse(Buffer.from(segment).toString().trimEnd().split('\n')[0]!) as readonly number[][];

/** Incompressible bytes follow the rows, so that a pack is larger than its table. */
function toSegment(rows: readonly (readonly number[])[]): Segment {
  const text = JSON.stringify(rows);
  let state = 1;
  for (const character of text) state = (Math.imul(state, 31) + character.charCodeAt(0)) | 0;
  let tail = '';
  for (let n = 0; n < 25; n++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    tail += (state >>> 0).toString(36);
  }
  return {bytes: Buffer.from(`${text}\n${tail}`), rows: rows.length};
}

async function* segments(rows: readonly (readonly number[])[]): AsyncGenerator<Segment> {
  if (rows.length > 0) yield toSegment(rows);
}

const indexEntries = (rows: Rows) => [...rows].map(([key, value]) => [value * keys + key]).sort(([a], [b]) => a! - b!);

/** @param end above the first number of every entry; entries ascend by it */
function baseOf(entries: readonly (readonly number[])[], end: number, previousCuts: string | undefined): BaseStream {
  const previous = previousCuts === undefined ? [] : (JSON.parse(previousCuts) as number[]);
  const starts: number[] = [];
  return {
    cuts: () => JSON.stringify(starts),
    async *[Symbol.asyncIterator]() {
      for (let start = 0; start < end; start += rowsPerSegment) {
        const some = entries.filter(([first]) => first! >= start && first! < start + rowsPerSegment);
        if (some.length === 0) continue;
        const position = previous.indexOf(start);
        starts.push(start);
        yield {...toSegment(some), ...(position < 0 ? {} : {previous: position})};
      }
    },
  };
}

/** The keys, those of earlier deltas included, and their rows. */
function deltaOf(touched: readonly number[], rows: Rows, earlier?: AsyncIterable<Uint8Array>): DeltaStream {
  const named = new Set(touched);
  async function* namedKeys() {
    for await (const segment of earlier ?? []) for (const [key] of parse(segment)) named.add(key!);
    yield* segments([...named].map((key) => [key]));
  }
  async function* namedRows() {
    yield* segments([...named].flatMap((key) => (rows.has(key) ? [[key, rows.get(key)!]] : [])));
  }
  return {keys: namedKeys(), rows: namedRows(), changed: () => ({keys: touched.length, rows: touched.length})};
}

/** Fails after its first segment. */
function failing(stream: BaseStream): BaseStream {
  return {
    cuts: stream.cuts,
    async *[Symbol.asyncIterator]() {
      for await (const segment of stream) {
        yield segment;
        throw new TakeRows('one record is odd');
      }
    },
  };
}
