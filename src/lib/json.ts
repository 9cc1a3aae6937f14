/**
 * The value of a JSON text.
 * @param fault creates the error; `why` says where the text is wrong and never quotes it: the message of Node's
 *   SyntaxError would print what stands there, which may be a password or a row of an encrypted vault
 */
export function fromJson(text: string, fault: (why: string) => Error): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw fault(`it is not valid JSON: ${placeOf(text)}`);
  }
}

function placeOf(text: string): string {
  const at = faultIn(text);
  if (text.slice(at).trim() === '') return text.trim() === '' ? 'it is empty' : 'it ends too early';
  const before = text.slice(0, at).split('\n');
  return `see line ${before.length}, column ${before.at(-1)!.length + 1}`;
}

const space = /[ \t\r\n]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON has none of them in its strings
const string = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const scalar = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;

/** What may come next. `first`: of an object or an array, which may end here. */
type Expected = 'value' | 'first value' | 'name' | 'first name' | 'colon' | 'comma';

/**
 * @returns where the first token begins that JSON has not there; the length of the text if nothing is wrong with it,
 *   or if only its end is missing
 */
export function faultIn(text: string): number {
  const closers: string[] = [];
  let expected: Expected = 'value';
  let at = 0;
  const take = (token: RegExp): boolean => {
    token.lastIndex = at;
    const isThere = token.test(text);
    if (isThere) at = token.lastIndex;
    return isThere;
  };
  for (;;) {
    take(space);
    if (at === text.length) return at;
    const next = text[at]!;
    const mayClose = expected === 'comma' || expected.startsWith('first');
    if (mayClose && closers.length > 0 && next === closers.at(-1)) {
      closers.pop();
      at++;
      expected = 'comma';
    } else if (expected === 'comma') {
      if (closers.length === 0 || next !== ',') return at;
      at++;
      expected = closers.at(-1) === '}' ? 'name' : 'value';
    } else if (expected === 'colon') {
      if (next !== ':') return at;
      at++;
      expected = 'value';
    } else if (expected === 'name' || expected === 'first name') {
      if (!take(string)) return at;
      expected = 'colon';
    } else if (next === '{' || next === '[') {
      closers.push(next === '{' ? '}' : ']');
      at++;
      expected = next === '{' ? 'first name' : 'first value';
    } else {
      if (!take(string) && !take(scalar)) return at;
      expected = 'comma';
    }
  }
}
