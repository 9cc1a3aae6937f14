import {type ExactValue, exactJson, realText} from '../../lib/exact-json.ts';

/** How rows become lines of a text file. */
export type RowWriter = {
  /** Before the first row; empty if nothing is. */
  head: (columns: readonly string[]) => string;
  line: (columns: readonly string[], values: readonly ExactValue[]) => string;
};

/** RFC 4180: CRLF, quotes where they are needed. NULL is an empty field, and an empty text is `""`. */
const csv: RowWriter = {
  head: (columns) => `${columns.map(csvText).join(',')}\r\n`,
  line: (_, values) => `${values.map(csvField).join(',')}\r\n`,
};

/** One JSON object a line. */
const jsonl: RowWriter = {
  head: () => '',
  line: (columns, values) => {
    const members = columns.map((name, at) => `${JSON.stringify(name)}:${exactJson(values[at] ?? null)}`);
    return `{${members.join(',')}}\n`;
  },
};

export const rowWriters = {csv, jsonl};
export type TextFormat = keyof typeof rowWriters;

function csvField(value: ExactValue): string {
  if (value === null) return '';
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return realText(value);
  if (typeof value === 'boolean') return String(value);
  if ('object' === typeof value && 'digits' in value) return value.digits;
  if (value instanceof Uint8Array) return value.length === 0 ? '""' : Buffer.from(value).toString('hex');
  return csvText(value);
}

function csvText(text: string): string {
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
