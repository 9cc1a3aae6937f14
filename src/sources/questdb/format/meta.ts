import type {ControlFile} from './bytes.ts';

/** The last one is a view's. */
export const partitionUnits = ['DAY', 'MONTH', 'YEAR', 'NONE', 'HOUR', 'WEEK', 'NOT_APPLICABLE'] as const;
export type PartitionUnit = (typeof partitionUnits)[number];

/** How a column's values lie in its files. */
export type ColumnShape =
  | {kind: 'fixed'; widthBytes: number}
  /** Data in `.d`, and in `.i` for each row the place of its value; `string` has one place more, the end. */
  | {kind: 'string' | 'varchar' | 'array'}
  /** A type that this bkp does not know. */
  | {kind: 'unknown'};

export type Column = {
  /** Its number in `_cv`; dropped columns keep theirs. */
  index: number;
  name: string;
  shape: ColumnShape;
  isSymbol: boolean;
  isIndexed: boolean;
  /** Rows in a block of its index, when that is made anew. */
  indexBlockRows: number;
};

export type TableMeta = {
  partitionBy: PartitionUnit;
  timestampUnit: 'micros' | 'nanos';
  /** Without those that were dropped. */
  columns: readonly Column[];
};

const firstColumn = 128;
const columnBytes = 32;
/** Beyond it the number is no count of columns. */
const maxColumns = 100_000;
const symbolTag = 12;
const timestampTag = 8;
const nanosFlag = 1 << 18;
/** What QuestDB takes for less. */
const leastIndexBlockRows = 2;

/** Bytes a value by type tag (QuestDB's ColumnType): BOOLEAN 1 to DECIMAL256 33. */
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
 * Decodes `_meta`: int32 number of columns, unit of partitions, number of the designated timestamp; from 128 on 32 bytes a
 * column (int32 type, negative when dropped; int64 flags, of which the lowest is the index's; int32 rows in a block of it), then the columns' names.
 * Source: measured on QuestDB 9.3.4.
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
  return {partitionBy, timestampUnit, columns};
}

function shapeOf(tag: number): ColumnShape {
  const widthBytes = fixedWidths[tag];
  if (widthBytes !== undefined) return {kind: 'fixed', widthBytes};
  return {kind: variableKinds[tag] ?? 'unknown'};
}
