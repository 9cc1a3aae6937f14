import type {TableMeta} from './meta.ts';
import type {Partition} from './txn.ts';

const secondsOfDay = 86_400;
const pad = (value: number | bigint, digits = 2) => String(value).padStart(digits, '0');

/**
 * Folder of a partition: `2024-01-01`, `2024-01-01T06`, `2024-W07`. A partition that was split off for late rows is
 * named after its first timestamp (`2024-01-01T210000-112001`, `2024-W07-3T01`). `.5` follows when transaction 5
 * rewrote it. Source: QuestDB's IsoDatePartitionFormat and IsoWeekPartitionFormat.
 */
export function partitionFolder(meta: TableMeta, {timestamp, nameTxn}: Partition): string {
  // QuestDB updates only the number of rows of this entry in `_txn`; the server finds the folder by its name too.
  if (meta.partitionBy === 'NONE') return 'default';
  return `${nameOf(meta, timestamp)}${nameTxn === -1n ? '' : `.${nameTxn}`}`;
}

/** Whether a partition that starts then was split off another one. */
export function isPart(meta: TableMeta, timestamp: bigint): boolean {
  return meta.partitionBy !== 'NONE' && !wholeName[meta.partitionBy].test(nameOf(meta, timestamp));
}

const wholeName = {
  HOUR: /T\d\d$/,
  DAY: /^\d{4}-\d\d-\d\d$/,
  WEEK: /^\d{4}-W\d\d$/,
  MONTH: /^\d{4}-\d\d$/,
  YEAR: /^\d{4}$/,
  NOT_APPLICABLE: /^/,
} as const;

function nameOf({partitionBy, timestampUnit}: TableMeta, timestamp: bigint): string {
  const [perSecond, digits] = timestampUnit === 'nanos' ? [1_000_000_000n, 9] : [1_000_000n, 6];
  const seconds = Number(timestamp / perSecond);
  const fraction = timestamp % perSecond;
  const date = new Date(seconds * 1000);
  const [year, month, day] = [pad(date.getUTCFullYear(), 4), pad(date.getUTCMonth() + 1), pad(date.getUTCDate())];
  const hour = pad(date.getUTCHours());
  const minutes = `${pad(date.getUTCMinutes())}${pad(date.getUTCSeconds())}`;
  const finer = fraction > 0n ? `${minutes}-${pad(fraction, digits)}` : minutes === '0000' ? '' : minutes;
  const time = hour === '00' && finer === '' ? '' : `T${hour}${finer}`;
  switch (partitionBy) {
    case 'WEEK': {
      const weekday = (date.getUTCDay() + 6) % 7;
      return `${isoWeek(seconds)}${weekday === 0 && time === '' ? '' : `-${weekday + 1}${time}`}`;
    }
    case 'HOUR':
      return finer === '' ? `${year}-${month}-${day}T${hour}` : `${year}-${month}-${day}${time}`;
    case 'MONTH':
      return day === '01' && time === '' ? `${year}-${month}` : `${year}-${month}-${day}${time}`;
    case 'YEAR':
      return month === '01' && day === '01' && time === '' ? year : `${year}-${month}-${day}${time}`;
    default:
      return `${year}-${month}-${day}${time}`;
  }
}

/** ISO 8601: a week belongs to the year that contains its Thursday. */
function isoWeek(seconds: number): string {
  const days = Math.floor(seconds / secondsOfDay);
  // 1970-01-01 was a Thursday.
  const thursday = days - ((days + 3) % 7) + 3;
  const year = new Date(thursday * secondsOfDay * 1000).getUTCFullYear();
  const week = Math.floor((thursday - Date.UTC(year, 0, 1) / (secondsOfDay * 1000)) / 7) + 1;
  return `${pad(year, 4)}-W${pad(week)}`;
}
