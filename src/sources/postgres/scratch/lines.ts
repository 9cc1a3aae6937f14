const tab = 0x09;
const lineEnd = 0x0a;

const escapes: Readonly<Record<string, string>> = {b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v'};

/** The lines of rows as COPY writes them, without their ends. */
export function* linesOf(segment: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < segment.length; ) {
    const found = segment.indexOf(lineEnd, at);
    const end = found === -1 ? segment.length : found;
    yield segment.subarray(at, end);
    at = end + 1;
  }
}

/** The values of a row as text; undefined is NULL. */
export function fieldsOf(line: Uint8Array): readonly (string | undefined)[] {
  const text = Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('utf8');
  return text.split('\t').map((field) => {
    if (field === '\\N') return undefined;
    if (!field.includes('\\')) return field;
    return field.replaceAll(/\\(.)/gsu, (_, letter: string) => escapes[letter] ?? letter);
  });
}

/** How many values a row has. */
export function countFields(line: Uint8Array): number {
  let count = 1;
  for (let at = line.indexOf(tab); at !== -1; at = line.indexOf(tab, at + 1)) count += 1;
  return count;
}
