import type {KeyCondition, Literal} from '../../scratch.ts';
import type {Connection, Value} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {type Boundary, bound, keyColumns, rowValue} from '../rows/boundary.ts';
import {type Range, usableCuts} from '../rows/cuts.ts';
import {keyAffinity, type Table} from '../schema/table.ts';
import {isRowid} from './rowid-segments.ts';

const ends = 'temp._bkp_ends';

/**
 * Which segments of a base of rows hold which keys. SQLite compares the keys, in columns with the affinities and
 * collations of the table's key.
 */
export class RowSegments {
  readonly #connection: Connection;
  readonly #table: Table;
  readonly #ranges: readonly Range[];
  readonly #segments: number;

  /** @returns undefined when the cuts cannot be relied on */
  static of(connection: Connection, table: Table, cuts: string, segments: number): RowSegments | undefined {
    const ranges = usableCuts(connection, table, cuts)?.ranges;
    const ascend = ranges?.every(({segment}, at) => segment <= (ranges[at + 1]?.segment ?? segments));
    return ascend === true && ranges![0]!.segment === 0
      ? new RowSegments(connection, {table, ranges: ranges!, segments})
      : undefined;
  }

  private constructor(
    connection: Connection,
    {table, ranges, segments}: {table: Table; ranges: readonly Range[]; segments: number},
  ) {
    this.#connection = connection;
    this.#table = table;
    this.#ranges = ranges;
    this.#segments = segments;
  }

  /** @returns undefined when the conditions do not limit the first column of the key */
  where(conditions: readonly KeyCondition[]): readonly number[] | undefined {
    const {key} = this.#table;
    const usable = conditions.filter(({column}) => {
      if (key.kind === 'rowid') return isRowid(this.#table, column);
      const [first] = key.parts;
      return !first!.explicit && foldName(column) === foldName(first!.column);
    });
    if (usable.length === 0) return undefined;
    this.#fillEnds();
    // A range holds the keys from its lower end on, which belongs to the range before it, up to its upper end.
    const terms = usable.map((condition) => termOf(condition));
    const found = this.#connection.all(
      `SELECT upper.n FROM ${ends} AS upper LEFT JOIN ${ends} AS lower ON lower.n = upper.n - 1
       WHERE ${terms.map(({sql}) => `(${sql})`).join(' AND ')}`,
      ...terms.flatMap(({params}) => params),
    );
    // The last range has no end, and the rows with a NULL in their key.
    return this.#segmentsOf(new Set([...found.map(({n}) => Number(n)), this.#ranges.length - 1]));
  }

  /** @param keys a segment of keys, attached as `seg` @returns undefined when they could be anywhere */
  of(): readonly number[] | undefined {
    const {key} = this.#table;
    const connection = this.#connection;
    const columns = keyColumns(key);
    const keys = 'temp._bkp_wanted';
    connection.exec(`DROP TABLE IF EXISTS ${keys}; CREATE TABLE ${keys} (${this.#typed().join(', ')})`);
    connection.run(
      `INSERT INTO ${keys} (rowid, ${columns.join(', ')}) SELECT rowid, ${columns.join(', ')} FROM seg.keys`,
    );
    // A key of another type than the column gives it may have been stored before the column got its type.
    const converted = columns.map((column) => `typeof(a.${column}) <> typeof(b.${column})`).join(' OR ');
    const odd = connection.get(
      `SELECT 1 FROM seg.keys AS a JOIN ${keys} AS b ON b.rowid = a.rowid WHERE ${converted} LIMIT 1`,
    );
    if (odd !== undefined) return undefined;
    this.#fillEnds();
    const row = (name: string) => rowValue(columns.map((column) => `${name}.${column}`));
    const order = columns.map((column) => `e.${column}`).join(', ');
    const found = connection.all(
      `SELECT DISTINCT (SELECT e.n FROM ${ends} AS e WHERE ${row('e')} >= ${row('k')} ORDER BY ${order} LIMIT 1) AS n
       FROM ${keys} AS k`,
    );
    connection.exec(`DROP TABLE ${keys}`);
    const last = this.#ranges.length - 1;
    return this.#segmentsOf(new Set([...found.map(({n}) => (n === null ? last : Number(n))), last]));
  }

  #typed(): readonly string[] {
    const {key} = this.#table;
    return keyColumns(key).map((column, part) => {
      const collation = key.kind === 'rowid' ? '' : ` COLLATE ${quoteName(key.parts[part]!.collation)}`;
      return `${column} ${keyAffinity(this.#table, part)}${collation}`;
    });
  }

  /** One row for each range; the last one's key is NULL. */
  #fillEnds(): void {
    const connection = this.#connection;
    const columns = keyColumns(this.#table.key);
    connection.exec(
      `DROP TABLE IF EXISTS ${ends};
       CREATE TABLE ${ends} (n INTEGER PRIMARY KEY, ${this.#typed().join(', ')});
       CREATE INDEX temp._bkp_ends_key ON _bkp_ends (${columns.join(', ')})`,
    );
    for (const [n, {upTo}] of this.#ranges.entries()) {
      const values = (upTo as Boundary | undefined)?.map(bound) ?? columns.map(() => ({sql: 'NULL', params: []}));
      connection.run(
        `INSERT INTO ${ends} (n, ${columns.join(', ')}) VALUES (?, ${values.map(({sql}) => sql).join(', ')})`,
        BigInt(n),
        ...values.flatMap(({params}) => params),
      );
    }
  }

  #segmentsOf(ranges: ReadonlySet<number>): readonly number[] {
    return [...ranges]
      .sort((a, b) => a - b)
      .flatMap((range) => {
        const from = this.#ranges[range]!.segment;
        const to = this.#ranges[range + 1]?.segment ?? this.#segments;
        return Array.from({length: to - from}, (_, at) => from + at);
      });
  }
}

/** Whether a range can hold keys whose first part compares like this; also true where it has no end on that side. */
function termOf({operator, values}: KeyCondition): {sql: string; params: readonly Value[]} {
  const below = (comparison: string) => `(upper.k0 IS NULL OR upper.k0 ${comparison} ?)`;
  const above = (comparison: string) => `(lower.k0 IS NULL OR lower.k0 ${comparison} ?)`;
  const params = values.map(literalValue);
  switch (operator) {
    case '=':
      return {
        sql: values.map(() => `(${above('<=')} AND ${below('>=')})`).join(' OR '),
        params: params.flatMap((value) => [value, value]),
      };
    case '<':
      return {sql: above('<'), params};
    case '<=':
      return {sql: above('<='), params};
    case '>':
      return {sql: below('>'), params};
    case '>=':
      return {sql: below('>='), params};
  }
}

const literalValue = ({value}: Literal): Value => value;
