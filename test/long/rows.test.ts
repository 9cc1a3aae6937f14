import {createHash} from 'node:crypto';
import {describe, expect, test} from 'vitest';
import fc from '../seeds/fast-check.ts';
import {type Backup, baseOf, type KeptSegment, rowsIn, takeFull} from '../sources/layers.ts';
import {Database, expectComesBack, fullOfRows as full, increment} from '../sources/sqlite/database.ts';

const MiB = 1024 * 1024;

/** `count` independent rows of about `width` bytes. */
function fill(count: number, width: number, first = 1): string {
  return `WITH RECURSIVE n (i) AS (SELECT ${first} UNION ALL SELECT i + 1 FROM n WHERE i < ${first + count - 1})
    INSERT INTO t SELECT i, substr(hex(zeroblob(${width})), 1, ${width} - length(i)) || i FROM n`;
}

function table(...statements: string[]): Database {
  return new Database(
    ['PRAGMA synchronous = OFF; CREATE TABLE t (k INTEGER PRIMARY KEY, a)', ...statements].join(';\n'),
  );
}

const hashes = (backup: Backup) => baseOf(backup, 't').segments.map(({bytes}) => hash(bytes));
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);
const sizes = (segments: readonly KeptSegment[]) => segments.map(({bytes}) => bytes.byteLength);

/** Positions of segments that are not byte for byte in the previous base. */
function changed(before: Backup, after: Backup): number[] {
  const known = new Set(hashes(before));
  return hashes(after).flatMap((id, at) => (known.has(id) ? [] : [at]));
}

describe('the size of segments', () => {
  test('grows to about the target, whatever the rows are like', async () => {
    for (const [count, width] of [
      [200_000, 10],
      [40_000, 300],
      [600, 60_000],
    ] as const) {
      const backup = await full(table(fill(count, width)), ['t']);
      const settled = sizes(baseOf(backup, 't').segments).slice(8, -1);
      expect(settled.length).toBeGreaterThan(1);
      expect(Math.min(...settled)).toBeGreaterThan(MiB / 2);
      expect(Math.max(...settled)).toBeLessThanOrEqual(2 * MiB);
    }
  });

  test('has a limit that only a segment of a single row exceeds', async () => {
    const database = table(fill(3000, 20), fill(15, 700_000, 3001), fill(3000, 20, 3016));
    database.exec('INSERT INTO t VALUES (-1, zeroblob(12000000)), (10000, randomblob(5000000))');
    const backup = await full(database, ['t']);
    const {segments} = baseOf(backup, 't');
    for (const {bytes, rows} of segments) if (rows > 1) expect(bytes.byteLength).toBeLessThanOrEqual(4 * MiB);
    expect(segments[0]).toMatchObject({rows: 1});
    expect(segments[0]!.bytes.byteLength).toBeGreaterThan(12_000_000);
    await expectComesBack(database, backup);
    database.exec(
      'UPDATE t SET a = zeroblob(9000000) WHERE k IN (-1, 7, 5000); UPDATE t SET a = a || 1 WHERE k < 3500',
    );
    await expectComesBack(database, await increment(database, backup));
  });

  test('an empty table has none', async () => {
    const database = table();
    const backup = await full(database, ['t']);
    expect(baseOf(backup, 't').segments).toEqual([]);
    const again = await full(database, ['t'], backup);
    expect(baseOf(again, 't').segments).toEqual([]);
    database.exec(fill(5, 10));
    await expectComesBack(database, await full(database, ['t'], again));
  });
});

describe('the next base', () => {
  test('has the same bytes where nothing changed, even after VACUUM', async () => {
    const database = table(fill(30_000, 200));
    const first = await full(database, ['t']);
    const {segments} = baseOf(first, 't');
    database.exec('VACUUM');
    const second = await full(database, ['t'], first);
    expect(hashes(second)).toEqual(hashes(first));
    expect(baseOf(second, 't').segments.map(({previous}) => previous)).toEqual([...segments.keys()]);
    database.exec(`UPDATE t SET a = 'new' WHERE k = 15000; DELETE FROM t WHERE k = 20000`);
    const third = await full(database, ['t'], second);
    expect(changed(second, third)).toHaveLength(2);
    await expectComesBack(database, third);
  });

  test('has the same bytes where wide and narrow rows alternate', async () => {
    const database = table(fill(20_000, 30), fill(200, 100_000, 20_001), fill(20_000, 30, 20_201));
    const first = await full(database, ['t']);
    expect(hashes(await full(database, ['t'], first))).toEqual(hashes(first));
  });

  test('grows at its end without a change before it', async () => {
    const database = table(fill(30_000, 200));
    const first = await full(database, ['t']);
    database.exec(fill(10_000, 200, 30_001));
    const second = await full(database, ['t'], first);
    const tail = baseOf(first, 't').segments.length - 1;
    expect(Math.min(...changed(first, second))).toBe(tail);
    expect(baseOf(second, 't').segments[tail]!.previous).toBe(tail);
    expect(baseOf(second, 't').segments.at(-1)).not.toHaveProperty('previous');
  });

  test('cuts a range that grew too large, and keeps the new cut', async () => {
    const database = table(fill(60_000, 200));
    database.exec('DELETE FROM t WHERE k % 4 > 0');
    const first = await full(database, ['t']);
    const at = baseOf(first, 't').segments.length;
    database.exec(`WITH RECURSIVE n (i) AS (SELECT 20001 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
      INSERT OR IGNORE INTO t SELECT i, hex(randomblob(100)) FROM n`);
    const second = await full(database, ['t'], first);
    expect(baseOf(second, 't').segments.length).toBeGreaterThan(at);
    for (const size of sizes(baseOf(second, 't').segments)) expect(size).toBeLessThanOrEqual(4 * MiB);
    expect(hashes(await full(database, ['t'], second))).toEqual(hashes(second));
    await expectComesBack(database, second);
  });

  test('merges small ranges', async () => {
    const database = table(fill(60_000, 200));
    const first = await full(database, ['t']);
    database.exec('DELETE FROM t WHERE k % 50 > 0');
    let last = first;
    for (let n = 0; n < 6; n++) last = await full(database, ['t'], last);
    expect(baseOf(last, 't').segments.length).toBeLessThanOrEqual(3);
    expect(hashes(await full(database, ['t'], last))).toEqual(hashes(last));
    await expectComesBack(database, last);
  });

  test('of a table that was emptied and filled again', async () => {
    const database = table(fill(20_000, 200));
    const first = await full(database, ['t']);
    database.exec('DELETE FROM t');
    const second = await full(database, ['t'], first);
    expect(baseOf(second, 't').segments).toEqual([]);
    database.exec(fill(20_000, 200, -500));
    await expectComesBack(database, await full(database, ['t'], second));
  });

  test('ignores cuts of another key', async () => {
    const database = table(fill(5000, 200));
    const first = await full(database, ['t']);
    database.exec('DROP TABLE t; CREATE TABLE t (k, a, PRIMARY KEY (a, k))');
    database.exec(fill(5000, 200));
    await expectComesBack(database, await full(database, ['t'], first));
  });
});

describe('the next base after a change of the key', () => {
  // Each with values that the next one accepts, as in a migration.
  const kinds: Record<string, string> = {
    'no key': 'k, m, a',
    integer: 'k INTEGER PRIMARY KEY, m, a',
    'integer column': 'k INT, m, a, PRIMARY KEY (k)',
    text: 'k TEXT PRIMARY KEY, m, a',
    nocase: 'k TEXT COLLATE NOCASE PRIMARY KEY, m, a',
    rtrim: 'k TEXT, m, a, PRIMARY KEY (k COLLATE RTRIM)) WITHOUT ROWID; --',
    real: 'k REAL PRIMARY KEY, m, a',
    numeric: 'k NUMERIC PRIMARY KEY, m, a',
    blob: 'k BLOB PRIMARY KEY, m, a',
    'two columns': 'k TEXT, m INTEGER, a, PRIMARY KEY (k, m)',
    'two columns, the other way': 'k TEXT, m INTEGER, a, PRIMARY KEY (m, k)',
    'two columns, nocase': 'k TEXT, m TEXT, a, PRIMARY KEY (k COLLATE NOCASE, m)',
  };
  const numbers = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) INSERT INTO t`;
  const keys: Record<string, string> = {
    // The ends of the first ranges are 8500 and 10500, which have the opposite order as texts.
    integers: 'i * 37 % 4001 + 7500',
    texts: `iif(i % 2, 'k', 'K') || (i * 37 % 4001)`,
    'both, and blobs': `CASE i % 3 WHEN 0 THEN i WHEN 1 THEN 'x' || i ELSE CAST(i AS BLOB) END`,
  };
  const withoutKey = (backup: Backup): Backup => {
    const {key: _, ...cuts} = JSON.parse(baseOf(backup, 't').cuts);
    return {...backup, layers: {t: [{...baseOf(backup, 't'), cuts: JSON.stringify(cuts)}]}};
  };
  const become = (columns: string, rows: string) => `CREATE TABLE t (${columns});\n${rows}`;

  test('whatever it was, and whatever it is', async () => {
    const kind = fc.constantFrom(...Object.keys(kinds));
    await fc.assert(
      fc.asyncProperty(kind, kind, fc.constantFrom(...Object.keys(keys)), fc.boolean(), async (from, to, key, old) => {
        const values = [from, to].includes('integer') ? keys.integers : keys[key];
        const database = new Database(become(kinds[from]!, `${numbers} SELECT ${values}, i % 11, i FROM n`));
        const first = await takeFull(database.source, {form: 'rows', tables: ['t']});
        database.exec(
          `ALTER TABLE t RENAME TO old; ${become(kinds[to]!, 'INSERT INTO t SELECT k, m, a FROM old; DROP TABLE old')}`,
        );
        const previous = old ? withoutKey(first) : first;
        await expectComesBack(database, await takeFull(database.source, {form: 'rows', tables: ['t'], previous}));
        database.close();
      }),
      {numRuns: 20 * Number(process.env.BKP_TEST_RUNS ?? 1)},
    );
  }, 120_000);

  const migrations: [string, string, string][] = [
    ['integer', 'text', 'integers'],
    ['integer', 'nocase', 'integers'],
    ['integer column', 'text', 'integers'],
    ['text', 'nocase', 'texts'],
    ['no key', 'text', 'texts'],
    ['two columns', 'two columns, the other way', 'texts'],
    ['two columns', 'two columns, nocase', 'texts'],
  ];
  for (const [from, to, key] of migrations) {
    test(`${from} to ${to}`, async () => {
      const database = new Database(become(kinds[from]!, `${numbers} SELECT ${keys[key]}, i % 11, i FROM n`));
      const first = await takeFull(database.source, {form: 'rows', tables: ['t']});
      database.exec(
        `ALTER TABLE t RENAME TO old; ${become(kinds[to]!, 'INSERT INTO t SELECT k, m, a FROM old; DROP TABLE old')}`,
      );
      for (const previous of [first, withoutKey(first)])
        await expectComesBack(database, await takeFull(database.source, {form: 'rows', tables: ['t'], previous}));
    });
  }

  test('cuts of older versions are used while the key is the same', async () => {
    const database = table(fill(30_000, 200));
    const first = await full(database, ['t']);
    database.exec('DELETE FROM t WHERE k < 3');
    expect(changed(first, await full(database, ['t'], withoutKey(first)))).toEqual([0]);
  });

  test('invalid cuts are ignored', async () => {
    const database = table(fill(5000, 200));
    const first = await full(database, ['t']);
    const cuts = JSON.parse(baseOf(first, 't').cuts);
    const [one, two] = cuts.ranges;
    for (const odd of [
      {...cuts, ranges: []},
      {...cuts, ranges: [two, one, {segment: 0, rows: 0}]},
      {...cuts, ranges: [one, {segment: 0, rows: 0}, two]},
      {...cuts, ranges: [one]},
      {
        ...cuts,
        ranges: [
          {...one, upTo: []},
          {segment: 0, rows: 0},
        ],
      },
      {...cuts, ranges: 7},
      {...cuts, version: 2},
      [],
    ]) {
      const before = {...baseOf(first, 't'), cuts: JSON.stringify(odd)};
      await expectComesBack(database, await full(database, ['t'], {...first, layers: {t: [before]}}));
    }
  });
});

describe('keys of all kinds are read to their end, in several segments', () => {
  const wide = 'hex(zeroblob(450)) || i';
  const fillAs = (values: string) =>
    'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t ' +
    `SELECT ${values} FROM n`;
  const cases: Record<string, [string, string]> = {
    'text, case ignored': ['k TEXT COLLATE NOCASE PRIMARY KEY, a', `iif(i % 2, 'k', 'K') || i, ${wide}`],
    'its own collation': ['k TEXT, a, PRIMARY KEY (k COLLATE NOCASE)', `iif(i % 2, 'k', 'K') || i, ${wide}`],
    'two columns, two directions': ['k, m, a, PRIMARY KEY (k DESC, m)', `i % 7, i, ${wide}`],
    'two columns, a collation of its own': [
      'k, m, a, PRIMARY KEY (k COLLATE NOCASE, m COLLATE RTRIM)',
      `iif(i % 2, 'k', 'K') || i % 20, i, ${wide}`,
    ],
    'no type, all storage classes': [
      'k PRIMARY KEY, a',
      'CASE i % 5 WHEN 0 THEN i WHEN 1 THEN i + 0.5 WHEN 2 THEN CAST(i AS TEXT) WHEN 3 THEN ' +
        `CAST('x' || i AS BLOB) END, ${wide}`,
    ],
    'NULL in parts': ['k, m INTEGER, a, PRIMARY KEY (k, m)', `iif(i % 3, i % 3, NULL), iif(i % 100, i, NULL), ${wide}`],
    'only NULL': ['k TEXT PRIMARY KEY, a', `NULL, ${wide}`],
    'text with NUL and invalid bytes': ['k TEXT PRIMARY KEY, a', `CAST(x'ff00' || i || x'80' AS TEXT), ${wide}`],
    'no key': ['k, a', `i, ${wide}`],
    'reals in a column without a type': ['k PRIMARY KEY, a', `1.0 / i, ${wide}`],
    'without rowid': ['k BLOB, m, a, PRIMARY KEY (m, k)) WITHOUT ROWID; --', `randomblob(8), i % 9, ${wide}`],
  };
  for (const [name, [columns, values]] of Object.entries(cases)) {
    for (const encoding of ['UTF-8', 'UTF-16be']) {
      test(`${name}, ${encoding}`, async () => {
        const database = new Database(
          `PRAGMA encoding = '${encoding}'; PRAGMA synchronous = OFF; CREATE TABLE t (${columns});\n${fillAs(values)}`,
        );
        const backup = await takeFull(database.source, {form: 'rows', tables: ['t']});
        const {segments} = baseOf(backup, 't');
        expect(segments.length).toBeGreaterThan(1);
        expect(rowsIn(segments)).toBe(5000);
        await expectComesBack(database, backup);
      });
    }
  }
});
