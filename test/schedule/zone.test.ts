import {expect, test, vi} from 'vitest';
import {openZone} from '../../src/schedule/zone.ts';
import fc from '../seeds/fast-check.ts';

test('UTC is opened without the tables of Intl, which take as long to load as half a Node', () => {
  const format = vi.spyOn(Intl, 'DateTimeFormat');
  try {
    for (const name of ['UTC', 'utc']) openZone(name);
    expect(format).not.toHaveBeenCalled();
  } finally {
    format.mockRestore();
  }
});

test('UTC is the zone that Intl has under its other name', () => {
  const [utc, other] = [openZone('UTC'), openZone('Etc/UTC')];
  const moments = fc.integer({min: Date.UTC(1970, 0, 1), max: Date.UTC(2500, 0, 1)});
  fc.assert(
    fc.property(moments, (moment) => {
      expect(utc.wallOf(moment)).toBe(other.wallOf(moment));
      expect(utc.instantOf(moment)).toBe(other.instantOf(moment));
    }),
  );
});
