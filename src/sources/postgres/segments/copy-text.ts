// COPY's text format: one line for each row, fields separated by tabs, NULL as \N.
// Source: https://www.postgresql.org/docs/18/sql-copy.html#id-1.9.3.55.9.2

const tab = 0x09;
const lineEnd = 0x0a;
const backslash = 0x5c;

const escapes: Readonly<Record<number, number>> = {
  98: 0x08,
  102: 0x0c,
  110: 0x0a,
  114: 0x0d,
  116: 0x09,
  118: 0x0b,
};

/** The first fields of the last row, in the encoding of the rows. @param rows complete and not empty */
export function lastKey(rows: Uint8Array, parts: number): readonly Uint8Array[] {
  const start = rows.lastIndexOf(lineEnd, rows.length - 2) + 1;
  const fields: Uint8Array[] = [];
  let at = start;
  while (fields.length < parts) {
    const next = rows.indexOf(tab, at);
    const end = next === -1 ? rows.length - 1 : next;
    fields.push(unescaped(rows.subarray(at, end)));
    at = end + 1;
  }
  return fields;
}

/** How many rows complete lines are: a line feed inside a value is escaped. */
export function countRows(rows: Uint8Array): number {
  let count = 0;
  for (let at = rows.indexOf(lineEnd); at !== -1; at = rows.indexOf(lineEnd, at + 1)) count += 1;
  return count;
}

function unescaped(field: Uint8Array): Uint8Array {
  if (!field.includes(backslash)) return Uint8Array.from(field);
  const plain: number[] = [];
  for (let at = 0; at < field.length; at++) {
    const byte = field[at]!;
    if (byte !== backslash) plain.push(byte);
    else {
      at += 1;
      plain.push(escapes[field[at]!] ?? field[at]!);
    }
  }
  return Uint8Array.from(plain);
}

/** Lines without their ends, each byte a character. @param rows complete lines */
export function linesOf(rows: Uint8Array): readonly string[] {
  const lines = Buffer.from(rows.buffer, rows.byteOffset, rows.length).toString('latin1').split('\n');
  lines.pop();
  return lines;
}

/** The first fields of a line as they are in it. */
export function keyOf(line: string, parts: number): string {
  let at = -1;
  for (let part = 0; part < parts; part++) {
    at = line.indexOf('\t', at + 1);
    if (at === -1) return line;
  }
  return line.slice(0, at);
}
