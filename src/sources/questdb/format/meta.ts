import type {ControlFile} from './bytes.ts';

/** In the order of their numbers; the last one is for views. */
export const partitionUnits = ['DAY', 'MONTH', 'YEAR', 'NONE', 'HOUR', 'WEEK', 'NOT_APPLICABLE'] as const;
export type PartitionUnit = (typeof partitionUnits)[number];

/** How the files of a column store its values. */
export type ColumnShape =
  | {kind: 'fixed'; widthBytes: number}
  /**
   * Data in `.d`, and in `.i` the position of each row's value; `string` has one more position, the end of the data.
   */
  | {kind: 'string' | 'varchar' | 'array'}
  /** A type that this version of bkp does not know. */
  | {kind: 'unknown'};

export type Column = {
  /** Number of the column in `_cv`; dropped columns keep their numbers. */
  index: number;
  name: string;
  shape: ColumnShape;
  isSymbol: boolean;
  isIndexed: boolean;
  /** Rows in a block of its index when the server builds a new one. */
  indexBlockRows: number;
};

export type TableMeta = {
  partitionBy: PartitionUnit;
  timestampUnit: 'micros' | 'nanos';
  /** Number of the designated timestamp in `columns`; -1 for a table without one. */
  timestampIndex: number;
  /** Without dropped columns. */
  columns: readonly Column[];
};

const firstColumn = 128;
const columnBytes = 32;
/** A larger number cannot be a count of columns. */
const maxColumns = 100_000;
const symbolTag = 12;
const timestampTag = 8;
const nanosFlag = 1 << 18;
/** QuestDB uses this for smaller values. */
const leastIndexBlockRows = 2;

/** Bytes of a value, by type tag (QuestDB's ColumnType): BOOLEAN 1 to DECIMAL256 33. */
const fixedWidths: Readonly<Record<number, number>> = {
  ...{1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 8, 7: 8, 8: 8, 9: 4, 10: 8, 12: 4, 13: 32},
  ...{14: 1, 15: 2, 16: 4, 17: 8, 19: 16, 24: 16, 25: 4},
  ...{28: 1, 29: 2, 30: 4, 31: 8, 32: 16, 33: 32},
};
const variableKinds: Readonly<Record<number, 'string' | 'varchar' | 'array'>> = {
  11: 'string',
  18: 'string',
  26: 'varchar',
  27: 'array',
};

/**
 * Decodes `_meta`: int32 number of columns, unit of partitions, number of the designated timestamp. From 128 on, 32
 * bytes for each column: int32 type, negative when dropped; int64 flags, the lowest of which means indexed; int32
 * rows in a block of the index. Then the names of the columns. Source: measured on QuestDB 9.3.4.
 * @throws BkpError `SOURCE_DAMAGED`
 */
export function decodeMeta(file: ControlFile): TableMeta {
  const count = file.int32(0);
  if (count < 0 || count > maxColumns) throw file.unknown(`${count} columns`);
  const partitionBy = partitionUnits[file.int32(4)];
  if (partitionBy === undefined) throw file.unknown(`partitions by ${file.int32(4)}`);
  const timestampIndex = file.int32(8);
  const columns: Column[] = [];
  let timestampUnit: TableMeta['timestampUnit'] = 'micros';
  let nameAt = firstColumn + count * columnBytes;
  for (let index = 0; index < count; index++) {
    const at = firstColumn + index * columnBytes;
    const type = file.int32(at);
    const {value: name, end} = file.text(nameAt);
    nameAt = end;
    if (type < 0) continue;
    const tag = type & 0xff;
    if (index === timestampIndex && tag === timestampTag && (type & nanosFlag) !== 0) timestampUnit = 'nanos';
    const isSymbol = tag === symbolTag;
    const isIndexed = isSymbol && (file.int32(at + 4) & 1) === 1;
    const indexBlockRows = Math.max(leastIndexBlockRows, file.int32(at + 12));
    columns.push({index, name, shape: shapeOf(tag), isSymbol, isIndexed, indexBlockRows});
  }
  return {partitionBy, timestampUnit, timestampIndex, columns};
}

function shapeOf(tag: number): ColumnShape {
  const widthBytes = fixedWidths[tag];
  if (widthBytes !== undefined) return {kind: 'fixed', widthBytes};
  return {kind: variableKinds[tag] ?? 'unknown'};
}
