import {describe, expect, test, vi} from 'vitest';
import {asPlain, renderError} from '../../src/errors/index.ts';
import {microsText} from '../../src/lib/time.ts';
import {type Catalogue, defineView, runSelect, type SelectOptions} from '../../src/query/index.ts';

const manyRows = Array.from({length: 2000}, (_, at) => ({number: at}));

function catalogue() {
  const asked = {
    backups: vi.fn(() => [
      {status: 'backup complete', percent: 100, start_ts: microsText(1e15), running: false, bytes: 2n ** 60n},
      {status: 'backup failed', percent: 35, start_ts: microsText(1e15 + 1), running: false, bytes: undefined},
      {status: 'backup in progress', percent: 10, start_ts: microsText(2e15), running: true, bytes: 7},
    ]),
    stores: vi.fn(async () => [{status: 'backup failed', place: "o'hare"}]),
    numbers: vi.fn(() => manyRows),
    name: vi.fn(async () => 'gentle-forest-orchid'),
    reload: vi.fn(() => true),
  };
  const all: Catalogue = {
    views: {
      backups: defineView(
        {status: 'VARCHAR', percent: 'INT', start_ts: 'TIMESTAMP', running: 'BOOLEAN', bytes: 'LONG'},
        asked.backups,
      ),
      stores: defineView({status: 'VARCHAR', place: 'VARCHAR'}, asked.stores),
      numbers: defineView({number: 'INT'}, asked.numbers),
    },
    scalars: {
      backup_instance_name: {type: 'VARCHAR', bare: true, value: asked.name},
      reload_config: {type: 'BOOLEAN', value: asked.reload},
    },
  };
  return {all, asked};
}

const select = (text: string, options?: SelectOptions) => runSelect(text, catalogue().all, options);

async function told(text: string, options?: SelectOptions): Promise<string> {
  try {
    await select(text, options);
  } catch (error) {
    return renderError(asPlain(error));
  }
  throw new Error(`no error: ${text}`);
}

describe('SELECT supports', () => {
  test.each<[string, readonly string[], readonly unknown[][]]>([
    [
      "WITH failed AS (SELECT place FROM stores() WHERE status = 'backup failed') SELECT * FROM failed",
      ['place'],
      [["o'hare"]],
    ],
    [
      'with a(x) as (SELECT number FROM numbers()), b as not materialized (SELECT 1 FROM a) SELECT count(*) n FROM b',
      ['n'],
      [[2000]],
    ],
    ['WITH a(x, y) AS MATERIALIZED (SELECT 1, 2 FROM stores()) SELECT 7 AS n FROM a, a AS b', ['n'], [[7]]],
    [
      'SELECT status, percent FROM backups() ORDER BY start_ts DESC LIMIT 1',
      ['status', 'percent'],
      [['backup in progress', 10]],
    ],
    ['select Status s from BACKUPS ( ) where percent between 20 and 50;', ['s'], [['backup failed']]],
    [
      "SELECT count(*) AS n, max(start_ts) FROM backups() WHERE status LIKE 'backup %'",
      ['n', 'max(start_ts)'],
      [[3, '2033-05-18T03:33:20.000000Z']],
    ],
    [
      'SELECT s.place, b.percent FROM backups() b JOIN stores() s USING (status)',
      ['place', 'percent'],
      [["o'hare", 35]],
    ],
    [
      'SELECT a.status, b.status, b.status FROM stores() a, stores() b',
      ['status', 'status1', 'status2'],
      [['backup failed', 'backup failed', 'backup failed']],
    ],
    [
      'SELECT running, running AS r, NOT running AS n FROM backups() WHERE running = true',
      ['running', 'r', 'n'],
      [[true, true, 0]],
    ],
    ['SELECT bytes FROM backups()', ['bytes'], [[2n ** 60n], [null], [7]]],
    [
      'SELECT \'backups()\', "percent" FROM backups() LIMIT 1 -- FROM stores()',
      ["'backups()'", 'percent'],
      [['backups()', 100]],
    ],
    [
      'SELECT * FROM (SELECT percent FROM backups() LIMIT -1) WHERE percent < 50 UNION SELECT 1',
      ['percent'],
      [[1], [10], [35]],
    ],
    ['SELECT percent FROM backups() WHERE 0', ['percent'], []],
    ["SELECT x'00ff', 1.5, NULL", ["x'00ff'", '1.5', 'NULL'], [['00ff', 1.5, null]]],
    ['SELECT\u00a0percent\u3000FROM backups() LIMIT 1', ['percent'], [[100]]],
    ['SELECT backup_instance_name', ['backup_instance_name'], [['gentle-forest-orchid']]],
    [
      'SELECT upper(Backup_Instance_Name) AS backup_instance_name',
      ['backup_instance_name'],
      [['GENTLE-FOREST-ORCHID']],
    ],
    ['SELECT reload_config()', ['reload_config'], [[true]]],
    // Names that SQLite itself uses.
    ['SELECT backups.percent FROM backups() AS backups LIMIT 1', ['percent'], [[100]]],
    ['SELECT percent FROM main.backups LIMIT 1', ['percent'], [[100]]],
  ])('%s', async (text, columns, rows) => {
    expect(await select(text)).toEqual({columns, rows});
  });

  test.each([
    [1, [10]],
    [2, [35, 10]],
    [3, [100, 35, 10]],
    [4, [100, 35, 10]],
    [0, []],
  ])('LIMIT -%i at the end returns the last rows', async (count, percents) => {
    const {rows} = await select(`SELECT percent FROM backups() LIMIT - /* the last */ ${count};`);
    expect(rows.flat()).toEqual(percents);
  });

  test('only views that the statement uses are read, once, and none for an invalid statement', async () => {
    const {all, asked} = catalogue();
    await runSelect("SELECT count(*), 'stores()' FROM backups() a, backups() b", all);
    expect(asked.backups).toHaveBeenCalledTimes(1);
    expect(asked.stores).not.toHaveBeenCalled();
    await runSelect('SELECT reload_config(), reload_config() FROM backups()', all);
    expect(asked.reload).toHaveBeenCalledTimes(1);
    expect(asked.name).not.toHaveBeenCalled();
    for (const text of [
      'SELECT x FROM stores()',
      'SELECT backup_instance_name FROM x',
      'SELECT * FROM stores() STOP HERE',
    ])
      await expect(runSelect(text, all)).rejects.toMatchObject({code: 'SYNTAX'});
    expect(asked.stores).not.toHaveBeenCalled();
    expect(asked.name).not.toHaveBeenCalled();
  });

  test("a view's own error is passed on unchanged", async () => {
    const {all, asked} = catalogue();
    const away = new Error('the store is away');
    asked.stores.mockRejectedValue(away);
    await expect(runSelect('SELECT * FROM stores()', all)).rejects.toBe(away);
  });
});

describe('SELECT refuses', () => {
  const next = 'the views are backups(), numbers(), stores(); the values are backup_instance_name, reload_config()';

  test.each([
    "SELECT load_extension('x')",
    "SELECT fts3_tokenizer('simple')",
    'SELECT * FROM sqlite_schema',
    'SELECT count(*) FROM sqlite_master',
    'SELECT * FROM dbstat',
    "SELECT * FROM pragma_table_info('backups')",
    'SELECT 1 FROM pragma_database_list',
    "SELECT * FROM json_each('[1]')",
    'SELECT * FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)',
    'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n',
    'WITH sqlite_schema AS (SELECT 1) SELECT count(*) FROM main.sqlite_schema',
    'SELECT (WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n)',
  ])('%s', async (text) => {
    await expect(select(text)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/^SELECT reads views and nothing else: .* is refused$/),
      next,
    });
  });

  test.each(['PRAGMA user_version', 'VACUUM', 'REINDEX', 'EXPLAIN SELECT 1', '', ' -- SELECT 1'])(
    'what does not begin with SELECT: %s',
    async (text) => {
      await expect(select(text)).rejects.toMatchObject({code: 'UNSUPPORTED', next});
    },
  );

  test('two statements, because SQLite would ignore the second', async () => {
    expect(await told('SELECT 1; SELECT 2')).toContain('something follows its ;');
    expect(await told('SELECT 1;;')).toContain('something follows its ;');
    expect(await told('SELECT 1\0, 2')).toContain('NUL');
    expect((await select('SELECT \';\' AS s, ";" FROM (SELECT 1 AS [;], 2 AS `;;`); -- ;')).rows).toEqual([[';', 1]]);
  });

  test.each(['?', '?1', ':name', '@name', '$name'])('a parameter: %s', async (parameter) => {
    await expect(select(`SELECT ${parameter}`)).rejects.toMatchObject({code: 'SYNTAX'});
    expect((await select(`SELECT '${parameter}' AS p -- ${parameter}`)).rows).toEqual([[parameter]]);
  });

  test.each(['SELECT number FROM numbers()', 'SELECT a.number FROM numbers() a JOIN numbers() b USING (number)'])(
    'more rows than the limit, instead of truncating: %s',
    async (text) => {
      expect((await select(text, {limits: {rows: 2000}})).rows).toHaveLength(2000);
      await expect(select(text, {limits: {rows: 1999}})).rejects.toMatchObject({
        code: 'BAD_REQUEST',
        message: 'the SELECT has more than 1999 rows',
        next: 'add LIMIT; bkp config set select.limit.rows 3998 allows more',
      });
    },
  );

  const hundred = `VALUES ${Array.from({length: 100}, (_, at) => `(${at})`).join(', ')}`;
  test.each([
    'SELECT count(*) FROM numbers() a, numbers() b, numbers() c, numbers() d',
    'SELECT count(*) FROM numbers() a LEFT JOIN numbers() b LEFT JOIN numbers() c LEFT JOIN numbers() d',
    `SELECT count(*) FROM (${hundred}) a, (${hundred}) b, (${hundred}) c, (${hundred}) d, (${hundred}) e`,
    'SELECT (SELECT count(*) FROM numbers() a, numbers() b, numbers() c, numbers() d)',
    'SELECT number FROM numbers() ORDER BY (SELECT count(*) FROM numbers() a, numbers() b, numbers() c)',
  ])('a statement that takes too long: %s', async (text) => {
    const error = await select(text, {limits: {seconds: 0.3}}).catch((caught) => caught);
    expect(error).toMatchObject({code: 'TIMEOUT', message: 'the SELECT did not end within 0.3 seconds'});
  });

  test.each([
    'SELECT a.number + b.number AS n, hex(zeroblob(5000)) AS t FROM numbers() a, numbers() b ORDER BY n, t',
    "SELECT length(group_concat(printf('%.*c', 4000, 'x')) OVER (ORDER BY a.number)) FROM numbers() a, numbers() b",
    'SELECT hex(zeroblob(8000000)) FROM numbers()',
  ])('a statement that takes too much memory: %s', async (text) => {
    const error = await select(text, {limits: {mebibytes: 64}}).catch((caught) => caught);
    expect(error).toMatchObject({code: 'BAD_REQUEST', message: 'the SELECT needs more than 64 MiB of memory'});
  });

  test('a quick statement whose result is too large', async () => {
    const {all} = catalogue();
    const views = {wide: defineView({text: 'VARCHAR'}, () => Array(2000).fill({text: 'x'.repeat(10_000)}))};
    const run = (limits: SelectOptions['limits']) =>
      runSelect('SELECT text FROM wide()', {...all, views}, {limits: limits!});
    await expect(run({mebibytes: 16})).rejects.toMatchObject({code: 'BAD_REQUEST'});
    expect((await run({mebibytes: 64})).rows).toHaveLength(2000);
  });

  test('to continue after its signal is aborted', async () => {
    const own = new AbortController();
    const waiting = select('SELECT count(*) FROM numbers() a, numbers() b, numbers() c, numbers() d', {
      signal: () => own.signal,
    });
    setTimeout(() => own.abort(), 200);
    await expect(waiting).rejects.toMatchObject({code: 'INTERRUPTED'});
  });

  test('a value that is too large', async () => {
    await expect(select('SELECT length(zeroblob(1000000000))')).rejects.toMatchObject({code: 'SYNTAX'});
  });
});

test.each([
  'SELECT statuss FROM backups()',
  'SELECT b.nonsense FROM backups() b JOIN stores() s',
  'SELECT status FROM backpus()',
  'SELECT status FROM orders',
  'SELECT "text" FROM stores()',
  'SELECT backups()',
  'SELECT relod_config()',
  'SELECT backup_instance_nam',
  'SELECT nothing_of_that_kind()',
  'SELECT status FROM backups() WEHRE percent > 3',
  'SELECT status FROM backups() WHERE',
  'SELECT status FROM nowhere.backups()',
  'SELECT (1',
  "SELECT 'open",
  'SELECT stores.percent FROM stores() JOIN backups() WHERE status = 1',
])('the text for users: %s', async (text) => {
  expect(`\n> ${text}\n${await told(text)}`).toMatchSnapshot();
});
