import type {KeyCondition} from '../../scratch.ts';
import type {Connection, Row, Value} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {type FirstKey, readKeyCuts} from '../pages/cuts.ts';
import {payloadsIn, type RecordValue, recordValues} from '../pages/record-values.ts';
import {type Boundary, bound, rowValue} from '../rows/boundary.ts';
import {affinity, type Key, type Table} from '../schema/table.ts';

/** A column that a key tree is ordered by. */
export type KeyTreeColumn = {name: string; collation: string; descends: boolean};

/** A key tree: the rows of a table without rowid, or an index. */
export type KeyTree = {columns: readonly KeyTreeColumn[]; isIndex: boolean};

/** The columns of the index `name`, or undefined if it has computed ones. */
export function indexTree(connection: Connection, name: string): KeyTree | undefined {
  const rows = connection.all(
    `SELECT name, coll, "desc", cid FROM pragma_index_xinfo(?, 'main') WHERE key = 1 ORDER BY seqno`,
    name,
  );
  if (rows.length === 0 || rows.some(({cid}) => (cid as bigint) < 0n)) return undefined;
  const columns = rows.map((row) => ({
    ...{name: String(row.name), collation: String(row.coll), descends: row.desc === 1n},
  }));
  return {columns, isIndex: true};
}

/** The rows of a table without rowid. */
export function ownKeyTree(connection: Connection, {name}: Table): KeyTree | undefined {
  const index = connection.value(`SELECT name FROM pragma_index_list(?, 'main') WHERE origin = 'pk'`, name);
  const tree = typeof index === 'string' ? indexTree(connection, index) : undefined;
  return tree && {...tree, isIndex: false};
}

/** Where a range of segments begins; the first one has no key. */
type Start = {segment: number; key: FirstKey | undefined};

const ends = 'temp._bkp_key_ends';
const entries = 'temp._bkp_key_entries';
const wantedKeys = 'temp._bkp_wanted_keys';

/**
 * Which segments of a key tree hold which keys, by the first keys of its segments. SQLite compares them, in columns
 * with the affinities and collations of the tree.
 */
export class KeySegments {
  readonly #connection: Connection;
  readonly #table: Table;
  readonly #tree: KeyTree;
  readonly #segments: number;
  readonly #starts: readonly Start[];

  /** @returns undefined when the cuts have no keys, or these cannot be relied on */
  static of(
    connection: Connection,
    {table, tree, cuts: text, segments}: {table: Table; tree: KeyTree; cuts: string; segments: number},
  ): KeySegments | undefined {
    const cuts = readKeyCuts(text, tree.isIndex ? 'tail' : 'head');
    if (cuts?.keys?.length !== segments || segments === 0) return undefined;
    const starts = cuts.keys.flatMap((key, segment): Start[] => {
      if (segment === 0) return [{segment, key: undefined}];
      return key === null || key.length < tree.columns.length ? [] : [{segment, key}];
    });
    const found = new KeySegments(connection, {table, tree, segments, starts});
    return found.#ascend() ? found : undefined;
  }

  private constructor(
    connection: Connection,
    of: {
      table: Table;
      tree: KeyTree;
      segments: number;
      starts: readonly Start[];
    },
  ) {
    this.#connection = connection;
    this.#table = of.table;
    this.#tree = of.tree;
    this.#segments = of.segments;
    this.#starts = of.starts;
  }

  get #columns(): readonly string[] {
    return this.#tree.columns.map((_, at) => `k${at}`);
  }

  #typed(): readonly string[] {
    return this.#tree.columns.map(({name, collation}, at) => {
      const column = this.#table.columns.find((one) => foldName(one.name) === foldName(name))!;
      return `k${at} ${affinity(this.#table, column)} COLLATE ${quoteName(collation)}`;
    });
  }

  /** Fills one row for each range, with the key at which it begins; the first one's key is NULL. */
  #ascend(): boolean {
    const connection = this.#connection;
    const columns = this.#columns;
    connection.exec(`DROP TABLE IF EXISTS ${ends}; CREATE TABLE ${ends} (n INTEGER PRIMARY KEY, ${this.#typed()});
       CREATE INDEX temp._bkp_key_ends_order ON _bkp_key_ends (${this.#inOrder(false).join(', ')})`);
    for (const [n, {key}] of this.#starts.entries()) {
      const parts = (key as Boundary | undefined)?.slice(0, columns.length).map(bound);
      const values = parts ?? columns.map(() => ({sql: 'NULL', params: []}));
      connection.run(
        `INSERT INTO ${ends} (n, ${columns.join(', ')}) VALUES (?, ${values.map(({sql}) => sql).join(', ')})`,
        BigInt(n),
        ...values.flatMap(({params}) => params),
      );
    }
    const ascends = this.#isBefore(this.#of('a'), this.#of('b'));
    const wrong = connection.get(
      `SELECT 1 FROM ${ends} AS a JOIN ${ends} AS b ON b.n = a.n + 1
       WHERE a.n > 0 AND (${ascends}) IS NOT TRUE LIMIT 1`,
    );
    return wrong === undefined;
  }

  /** The first columns of a range, or of a key. */
  #of(name: string, count = this.#tree.columns.length): readonly string[] {
    return this.#columns.slice(0, count).map((column) => `${name}.${column}`);
  }

  /** Terms of an ORDER BY, in the order of the tree. */
  #inOrder(isReverse: boolean, name?: string): readonly string[] {
    const columns = name === undefined ? this.#columns : this.#of(name);
    return columns.map((column, at) => `${column}${this.#tree.columns[at]!.descends === isReverse ? '' : ' DESC'}`);
  }

  /**
   * Whether the first columns of a key come before those of another one in the order of the tree, or are equal. SQLite
   * finds rows by row values, and by the first column of keys that have both directions.
   */
  #isBefore(one: readonly string[], other: readonly string[]): string {
    const descends = one.map((_, at) => this.#tree.columns[at]!.descends);
    const sign = descends.map((does) => (does ? '>' : '<'));
    if (descends.every((does) => does === descends[0])) return `${rowValue(one)} ${sign[0]}= ${rowValue(other)}`;
    const from = (at: number): string =>
      at === one.length - 1
        ? `${one[at]} ${sign[at]}= ${other[at]}`
        : `(${one[at]} ${sign[at]} ${other[at]} OR (${one[at]} = ${other[at]} AND ${from(at + 1)}))`;
    return `(${one[0]} ${sign[0]}= ${other[0]} AND ${from(0)})`;
  }

  /** @returns undefined when the conditions do not limit the first column of the key */
  where(conditions: readonly KeyCondition[]): readonly number[] | undefined {
    const params: Value[] = [];
    const terms = this.#termsOf(conditions).map(({columns, operator, values}) => {
      const {descends} = this.#tree.columns[columns.length - 1]!;
      const isBelow = operator.startsWith('<') !== descends;
      const ranges = values.map((value) => {
        const literal = value.map((one) => `?${params.push(one)}`);
        // A range has keys from its own start on, and up to the start of the next one, which may have an equal key.
        const begins = `(own.k0 IS NULL OR ${this.#isBefore(this.#of('own', columns.length), literal)})`;
        const ends = `(next.k0 IS NULL OR ${this.#isBefore(literal, this.#of('next', columns.length))})`;
        if (operator === '=') return `(${begins} AND ${ends})`;
        return isBelow ? begins : ends;
      });
      return `(${ranges.join(' OR ')})`;
    });
    if (terms.length === 0) return undefined;
    const found = this.#connection.all(
      `SELECT own.n FROM ${ends} AS own LEFT JOIN ${ends} AS next ON next.n = own.n + 1
       WHERE ${terms.join(' AND ')}`,
      ...params,
    );
    return this.#segmentsOf(found.map(({n}) => Number(n)));
  }

  /** Comparisons of the first columns, each with what the columns before must be. */
  #termsOf(conditions: readonly KeyCondition[]) {
    const terms: {columns: readonly string[]; operator: KeyCondition['operator']; values: readonly Value[][]}[] = [];
    const prefix: Value[] = [];
    for (const [at, column] of this.#tree.columns.entries()) {
      // A statement compares a column by its own collation.
      if (!this.#comparesLikeColumn(column)) break;
      const columns = this.#columns.slice(0, at + 1);
      const own = conditions.filter((condition) => foldName(condition.column) === foldName(column.name));
      for (const {operator, values} of own) {
        terms.push({columns, operator, values: values.map(({value}) => [...prefix, value])});
      }
      const fixed = own.find(({operator, values}) => operator === '=' && values.length === 1);
      if (fixed === undefined) break;
      prefix.push(fixed.values[0]!.value);
    }
    return terms;
  }

  #comparesLikeColumn({name, collation}: KeyTreeColumn): boolean {
    const column = this.#table.columns.find((one) => foldName(one.name) === foldName(name));
    return column !== undefined && foldName(column.collation) === foldName(collation);
  }

  /** Whether the tree is the index of this key. */
  isOf(key: Key): boolean {
    const {columns, isIndex} = this.#tree;
    if (!isIndex || key.kind === 'rowid' || key.parts.length !== columns.length) return false;
    return key.parts.every(({column, collation}, at) => {
      const own = columns[at]!;
      return foldName(own.name) === foldName(column) && foldName(own.collation) === foldName(collation);
    });
  }

  /** Of the keys in the attached `seg`. @returns undefined: anywhere */
  of(): readonly number[] | undefined {
    if (!this.#fillKeys()) return undefined;
    const found = this.#connection.all(
      `SELECT DISTINCT coalesce((SELECT e.n FROM ${ends} AS e WHERE ${this.#isBefore(this.#of('e'), this.#of('k'))}
         ORDER BY ${this.#inOrder(true, 'e').join(', ')} LIMIT 1), 0) AS n
       FROM ${wantedKeys} AS k`,
    );
    return this.#segmentsOf(found.map(({n}) => Number(n)));
  }

  /** @returns false if rows with these keys could be anywhere */
  #fillKeys(): boolean {
    const connection = this.#connection;
    const columns = this.#columns;
    connection.exec(`DROP TABLE IF EXISTS ${wantedKeys}; CREATE TABLE ${wantedKeys} (${this.#typed()})`);
    const list = columns.join(', ');
    connection.run(`INSERT INTO ${wantedKeys} (rowid, ${list}) SELECT rowid, ${list} FROM seg.keys`);
    // A key of another type than the column gives it may have been stored before the column got its type. A key with
    // a NULL can have many rows.
    const odd = columns.map((column) => `typeof(a.${column}) <> typeof(b.${column}) OR a.${column} IS NULL`);
    return (
      connection.get(
        `SELECT 1 FROM seg.keys AS a JOIN ${wantedKeys} AS b ON b.rowid = a.rowid WHERE ${odd.join(' OR ')} LIMIT 1`,
      ) === undefined
    );
  }

  /**
   * The rowids of the wanted entries of an index.
   * @param wanted conditions on its first columns, or `keys`: those in the attached `seg`
   * @returns undefined: anywhere
   */
  rowidsIn(chunks: readonly Uint8Array[], wanted: readonly KeyCondition[] | 'keys'): readonly bigint[] | undefined {
    if (wanted === 'keys' && !this.#fillKeys()) return undefined;
    const found: bigint[] = [];
    const isOther = wanted === 'keys' ? () => false : this.#isOther(wanted);
    for (const chunk of chunks) {
      if (!this.#fillEntries(chunk, isOther)) return undefined;
      const ids = wanted === 'keys' ? this.#entriesWithKeys() : this.#entriesWhere(wanted);
      for (const {id} of ids) found.push(id as bigint);
    }
    return found;
  }

  /** @returns false if they are not entries that end with a rowid */
  #fillEntries(chunk: Uint8Array, isOther: (first: RecordValue) => boolean): boolean {
    const connection = this.#connection;
    connection.exec(
      `DROP TABLE IF EXISTS ${entries}; CREATE TABLE ${entries} (id INTEGER PRIMARY KEY, ${this.#typed()})`,
    );
    // One transaction: each statement of its own would write the pages of the table.
    return connection.write(() => this.#insertEntries(chunk, isOther));
  }

  /**
   * Recognizes most entries that are not wanted, without SQLite, which takes longer for each: a segment has tens of
   * thousands, and `=` wants few of them. Only values that are stored as they are compared: texts without a collation
   * in a column of texts, integers in a column of integers.
   * @returns true for the first value of such an entry; false leaves the decision to SQLite
   */
  #isOther(conditions: readonly KeyCondition[]): (first: RecordValue) => boolean {
    const [first] = this.#tree.columns;
    const column = this.#table.columns.find(({name}) => foldName(name) === foldName(first!.name));
    const kinds: Readonly<Record<string, 'text' | 'integer'>> = {TEXT: 'text', INTEGER: 'integer'};
    const kind = column && kinds[affinity(this.#table, column)];
    const isBinary = foldName(first!.collation) === 'binary' && this.#comparesLikeColumn(first!);
    const isUtf8 = this.#connection.value('PRAGMA main.encoding') === 'UTF-8';
    const equal = conditions.find(
      ({column: name, operator, values}) =>
        operator === '=' && foldName(name) === foldName(first!.name) && values.every((value) => value.kind === kind),
    );
    if (equal === undefined || (kind === 'text' && !(isBinary && isUtf8))) return () => false;
    const stored = new Set(
      equal.values.map(({value}) => (typeof value === 'bigint' ? String(value) : Buffer.from(value).toString('hex'))),
    );
    return ([type, text]) => type === kind && !stored.has(text);
  }

  #insertEntries(chunk: Uint8Array, isOther: (first: RecordValue) => boolean): boolean {
    const connection = this.#connection;
    const columns = this.#columns;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    for (const at of payloadsIn(bytes)) {
      const values = recordValues(bytes, at, columns.length + 1);
      const rowid = values.pop();
      if (values.length !== columns.length || rowid?.[0] !== 'integer') return false;
      if (isOther(values[0]!)) continue;
      const parts = values.map((value) =>
        value[0] === 'null' ? {sql: 'NULL', params: []} : bound(value as Boundary[number]),
      );
      connection.run(
        `INSERT OR IGNORE INTO ${entries} VALUES (?, ${parts.map(({sql}) => sql).join(', ')})`,
        BigInt(rowid[1]),
        ...parts.flatMap(({params}) => params),
      );
    }
    return true;
  }

  #entriesWithKeys(): readonly Row[] {
    const connection = this.#connection;
    const columns = this.#columns;
    connection.exec(`CREATE INDEX temp._bkp_key_entries_order ON _bkp_key_entries (${columns.join(', ')})`);
    const same = columns.map((column) => `e.${column} = k.${column}`).join(' AND ');
    return connection.all(`SELECT e.id FROM ${wantedKeys} AS k CROSS JOIN ${entries} AS e ON ${same}`);
  }

  #entriesWhere(conditions: readonly KeyCondition[]): readonly Row[] {
    const terms = this.#termsOf(conditions).map(({columns: of, operator, values}) => {
      const literal = rowValue(of.map(() => '?'));
      return {
        sql: values.map(() => `${rowValue(of)} ${operator} ${literal}`).join(' OR '),
        params: values.flat(),
      };
    });
    return this.#connection.all(
      `SELECT id FROM ${entries} WHERE ${terms.map(({sql}) => `(${sql})`).join(' AND ')}`,
      ...terms.flatMap(({params}) => params),
    );
  }

  #segmentsOf(ranges: readonly number[]): readonly number[] {
    return [...new Set(ranges)]
      .sort((a, b) => a - b)
      .flatMap((range) => {
        const from = this.#starts[range]!.segment;
        const to = this.#starts[range + 1]?.segment ?? this.#segments;
        return Array.from({length: to - from}, (_, at) => from + at);
      });
  }
}
