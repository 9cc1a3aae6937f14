import * as v from 'valibot';
import {expect, test} from 'vitest';
import {faultIn, fromJson} from '../../src/lib/json.ts';
import {parsed, parsedJson} from '../../src/lib/schema.ts';
import {randomFrom} from '../helpers/random-from.ts';
import {seed} from '../seeds/seed.ts';

const fault = (why: string) => new Error(why);

test.each([
  ['', 'it is empty'],
  [' \n', 'it is empty'],
  ['{"a": [1, 2', 'it ends too early'],
  ['{"a": 1} x', 'see line 1, column 10'],
  ['{\n  "password": hunter2"\n}', 'see line 2, column 15'],
  ['{\n  "password": "hunter2\n}', 'see line 2, column 15'],
  ['{\n  "password": "hunter2",\n}', 'see line 3, column 1'],
  ['{"password": 4711hunter2}', 'see line 1, column 14'],
  ['hunter2', 'see line 1, column 1'],
])('what is wrong with %j is told without its text', (text, why) => {
  expect(() => fromJson(text, fault)).toThrow(new Error(`it is not valid JSON: ${why}`));
});

test('a value of another kind is not quoted', () => {
  const schema = v.object({
    active: v.string(),
    version: v.literal(1),
    size: v.number(),
    sort: v.picklist(['a', 'b']),
    hex: v.pipe(v.string(), v.regex(/^[0-9a-f]+$/)),
  });
  const whyNot = (member: object): string => {
    try {
      parsed(schema, {active: 'x', version: 1, size: 1, sort: 'a', hex: '0', ...member}, fault);
    } catch (error) {
      return (error as Error).message;
    }
    return '';
  };
  for (const member of [{active: 471_199}, {version: '471199'}, {size: '471199'}, {sort: '471199'}, {hex: '4711 99'}]) {
    expect(whyNot(member)).toMatch(/^\w+: Invalid .* (another text|a number)$/);
    expect(whyNot(member)).not.toMatch(/4711/);
  }
  expect(whyNot({version: 3})).toBe('version: Invalid type: Expected 1 but received 3');
  expect(() => parsedJson(schema, '{"active": hunter2}', fault)).toThrow('see line 1, column 12');
});

/** Texts near to JSON: of any value, changed in a few places. */
test('a text has a fault where, and only where, Node finds one', () => {
  const random = randomFrom(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const value = (depth: number): unknown => {
    const kind = random();
    if (depth === 0 || kind < 0.4) return pick([0, -1.5, 1e30, 1e-7, true, false, null, '', 'ab', 'a"\\\n\u0007é😀']);
    const members = Array.from({length: Math.floor(random() * 4)}, () => value(depth - 1));
    return kind < 0.7 ? members : Object.fromEntries(members.map((member, at) => [`k${at}`, member]));
  };
  const pieces = [
    '"',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '\\',
    '0',
    '-',
    '.',
    'e',
    'true',
    '\n',
    '\t',
    '\u0001',
    ' ',
    '\\u00',
  ];
  for (let round = 0; round < 3_000; round++) {
    let text = JSON.stringify(value(3), null, pick([0, 2]));
    for (let changes = Math.floor(random() * 3); changes > 0; changes--) {
      const at = Math.floor(random() * (text.length + 1));
      text = text.slice(0, at) + pick(['', ...pieces]) + text.slice(at + Math.floor(random() * 3));
    }
    const label = `seed ${seed}: ${JSON.stringify(text)}`;
    let node: string | undefined;
    try {
      JSON.parse(text);
    } catch (error) {
      node = (error as Error).message;
    }
    const at = faultIn(text);
    if (node === undefined) {
      expect(at, label).toBe(text.length);
      continue;
    }
    const told = /position (\d+)/.exec(node)?.[1];
    const isAtEnd = node.startsWith('Unexpected end') || told === String(text.length);
    if (!isAtEnd) expect(at, label).toBeLessThan(text.length);
    // Node names places within a word too: `1true` is wrong at its beginning here, and behind the 1 there.
    const isPlace = !isAtEnd && told !== undefined && /^Expected|non-whitespace/.test(node);
    if (isPlace) expect(text.slice(at, Number(told)), label).toMatch(at <= Number(told) ? /^[\w.+-]*$/ : /never/);
  }
});
