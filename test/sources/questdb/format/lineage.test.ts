import {expect, test} from 'vitest';
import {lineageOf} from '../../../../src/sources/questdb/format/lineage.ts';

test.each([
  ['db/trades~4/2026-01-04.7/price.d', 'db/trades~4/2026-01-04/price.d'],
  ['db/trades~4/2026-01-04/price.d.11', 'db/trades~4/2026-01-04/price.d'],
  ['db/trades~4/2026-01-04T06.697/note.i.3', 'db/trades~4/2026-01-04T06/note.i'],
  ['db/flat/default.5/x.k', 'db/flat/default/x.k'],
  ['db/trades~4/2026-01.34/data.parquet', 'db/trades~4/2026-01/data.parquet'],
  ['db/trades~4/device.c.1', 'db/trades~4/device.c'],
  ['db/tables.d.3', 'db/tables.d'],
])('%s has the lineage %s', (path, lineage) => {
  expect(lineageOf(path)).toBe(lineage);
});

test.each([
  'db/2026.5/price.d',
  'db/trades~4/2026-01-04T210000-112001/price.d',
  'db/trades~4/txn_seq/_meta.0',
  'db/trades~4/wal3/12/price.d',
  '.checkpoint/db/trades~4/_txn',
  'conf/server.conf.1',
])('%s is its own lineage', (path) => {
  expect(lineageOf(path)).toBe(path);
});
