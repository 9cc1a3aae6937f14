import * as v from 'valibot';
import {describe, expect, test} from 'vitest';
import {bodySchema} from '../../src/collections/stored/manifest.ts';
import {quickCheck} from '../../src/lib/quick-check.ts';
import {count, name, opaque, parsed, text, time} from '../../src/lib/schema.ts';
import fc from '../seeds/fast-check.ts';

const chain = '20261121091500Z_full';
const base = {kind: 'base', backup: chain, rows: 3, data: {stream: 0, segments: 2, wide: {1: 2}}, cuts: 1};
const tree = {name: 't', kind: 'rowid', records: 3, data: {stream: 0, segments: 2}, cuts: 1};
const records = {kind: 'base', form: 'records', backup: chain, rows: 3, trees: [tree]};
const delta = {...{kind: 'delta', backup: chain, keys: 1, rows: 1}, keyData: base.data, rowData: base.data};
const body = {
  version: 3,
  collection: {id: 'c', name: 'shop'},
  backup: '20261121091501Z_incremental',
  type: 'incremental',
  chain,
  parent: chain,
  takenAt: '2026-11-21T09:15:01.000Z',
  source: {description: 'app.db', database: {encoding: 'UTF-8'}},
  mark: 'm',
  tables: [
    {
      schema: {name: 't', fingerprint: 'f', definition: {table: 'CREATE TABLE t (a)'}},
      layers: [records, delta],
      content: {rows: 3, hash: '0'.repeat(32)},
    },
    {schema: {name: 'u', fingerprint: 'f', definition: {}}, layers: [base], whole: true},
  ],
  objects: [{name: 'v', definition: {}}],
  cost: {rows: 1, deletedRows: 0, logicalBytes: 10, storedBytes: 10},
};

/** Every kind of schema and of action that the function knows, and some that it leaves to Valibot. */
const mixed = v.object({
  choice: v.variant('kind', [
    v.object({kind: v.literal('one'), form: v.exactOptional(v.literal('a')), value: v.pipe(count, v.maxValue(9))}),
    v.object({kind: v.picklist(['two', 'three']), value: v.pipe(text, v.regex(/^x+$/), v.minLength(2))}),
  ]),
  either: v.exactOptional(v.union([v.boolean(), v.pipe(v.number(), v.integer())])),
  maybe: v.optional(text),
  record: v.record(v.pipe(text, v.maxLength(2)), count),
  pair: v.tuple([text, count]),
  list: v.pipe(
    v.array(name),
    v.nonEmpty(),
    v.check((all) => new Set(all).size === all.length),
  ),
  trimmed: v.pipe(text, v.trim(), v.nonEmpty()),
  time,
  opaque,
});
const value = {
  ...{choice: {kind: 'one', value: 3}, either: 4, record: {a: 1}, pair: ['a', 1]},
  ...{list: ['a', 'b'], trimmed: ' a ', time: '2026-11-21T09:15:01.000Z', opaque: {}},
};

const others = [undefined, null, true, '', 'x', 'xx', 'two', 'records', -1, 0, 1, 2.5, 10, 2 ** 53, Number.NaN, [], {}];

/** Places in a value, as paths. */
function placesIn(at: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof at !== 'object' || at === null) return [path];
  return [path, ...Object.entries(at).flatMap(([key, inner]) => placesIn(inner, [...path, key]))];
}

function changedAt(
  root: unknown,
  path: readonly string[],
  change: (holder: Record<string, unknown>, key: string) => void,
) {
  const copy = structuredClone({root}) as Record<string, unknown>;
  let holder = copy;
  for (const key of ['root', ...path].slice(0, -1)) holder = holder[key] as Record<string, unknown>;
  change(holder, path.at(-1) ?? 'root');
  return copy.root;
}

describe.each([
  ['a body of a backup', bodySchema as v.GenericSchema<unknown, unknown>, body],
  ['all kinds', mixed as v.GenericSchema<unknown, unknown>, value],
])('%s', (_, schema, valid) => {
  const check = quickCheck(schema);

  test('is accepted', () => {
    expect(v.is(schema, valid)).toBe(true);
    expect(check(valid)).toBe(true);
  });

  test('is accepted with changes only if the schema accepts these, and refused with the same words', () => {
    const places = placesIn(valid);
    const change = fc.record({
      place: fc.nat(places.length - 1),
      what: fc.oneof(fc.constantFrom(...others), fc.constantFrom('remove', 'add' as const)),
    });
    let refused = 0;
    fc.assert(
      fc.property(fc.array(change, {minLength: 1, maxLength: 2}), (changes) => {
        let changed: unknown = valid;
        for (const {place, what} of changes) {
          const path = places[place]!;
          try {
            changed = changedAt(changed, path, (holder, key) => {
              if (what === 'remove') delete holder[key];
              else if (what === 'add') (holder[key] as Record<string, unknown>).another = 1;
              else holder[key] = structuredClone(what);
            });
          } catch (error) {
            // The first change took the place of the second one away.
            if (!(error instanceof TypeError)) throw error;
          }
        }
        const isValid = v.is(schema, changed);
        expect(check(changed)).toBe(isValid);
        if (isValid) expect(parsed(schema, changed, Error)).toBe(changed);
        else expect(() => parsed(schema, changed, (why) => new Error(why))).toThrow();
        if (!isValid) refused += 1;
      }),
      {numRuns: 2000},
    );
    expect(refused).toBeGreaterThan(200);
  });
});
