import {expect, test} from 'vitest';
import {renderFamilies} from '../../../src/commands/metrics/exposition.ts';
import {readMetrics} from '../../helpers/prometheus.ts';
import fc from '../../seeds/fast-check.ts';

test('the exposition format, byte by byte', () => {
  const families = [
    {
      name: 'bkp_a_seconds',
      help: 'A path is C:\\temp,\nin two lines and "quotes".',
      samples: [
        {labels: {collection: 'a\\b"c\nd', storage: 's3'}, value: 1.5},
        {labels: {}, value: 1764000000},
      ],
    },
    {name: 'bkp_empty', help: 'Nothing.', samples: []},
  ];
  expect(renderFamilies(families)).toBe(
    [
      '# HELP bkp_a_seconds A path is C:\\\\temp,\\nin two lines and "quotes".',
      '# TYPE bkp_a_seconds gauge',
      'bkp_a_seconds{collection="a\\\\b\\"c\\nd",storage="s3"} 1.5',
      'bkp_a_seconds 1764000000',
      '',
    ].join('\n'),
  );
  expect(renderFamilies(families.slice(1))).toBe('');
  expect(renderFamilies(families, {profile: 'p'})).toContain('{profile="p",collection="a');
});

test('labels and values of any kind survive a round trip', () => {
  fc.assert(
    fc.property(
      fc.string({unit: 'binary'}),
      fc.string({unit: fc.constantFrom('\\', '"', '\n', 'n', '{', '}', ',', '#', ' ', '\r', 'ü')}),
      // -0 is written as 0.
      fc.oneof(fc.double({noNaN: true, noDefaultInfinity: true}), fc.nat()).map((number) => number + 0),
      (profile, collection, value) => {
        const family = {
          name: 'bkp_x',
          help: collection === '' ? 'x' : collection,
          samples: [{labels: {collection}, value}],
        };
        const read = readMetrics(renderFamilies([family], {profile}));
        expect(read.get('bkp_x')).toEqual({
          type: 'gauge',
          help: family.help,
          samples: [{labels: {profile, collection}, value}],
        });
      },
    ),
  );
});

test('the test’s reader is strict', () => {
  const good = '# HELP a A.\n# TYPE a gauge\na{b="c"} 1\n';
  expect(readMetrics(good).size).toBe(1);
  for (const bad of [
    good.slice(0, -1),
    good.replace('# HELP a A.\n', ''),
    good.replace('# TYPE a gauge\n', ''),
    good.replace('# TYPE a', '# TYPE b'),
    good.replace('a{b', 'b{b'),
    good.replace('"c"', '"c'),
    good.replace('"c"', '"\\x"'),
    good.replace('"c"', '"c\n"'),
    good.replace(' 1', ' one'),
    good.replace(' 1', '  1'),
    good.replace('a{b="c"} 1\n', ''),
    `${good}a{b="c"} 2\n`,
    good + good,
  ]) {
    expect(() => readMetrics(bad), bad).toThrow();
  }
});
