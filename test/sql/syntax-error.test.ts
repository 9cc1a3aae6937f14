import {expect, test} from 'vitest';
import {asPlain, type PlainError, renderError} from '../../src/errors/index.ts';
import {parse} from '../../src/sql/index.ts';

function errorOf(text: string): PlainError {
  try {
    parse(text);
  } catch (error) {
    return asPlain(error);
  }
  throw new Error(`no error: ${text}`);
}

const texts: readonly string[] = [
  // YS03 to YS06
  'CREATE BACKUP COLLECTION TestCollection;',
  'CREATE BACKUP COLLECTION TABLE TestCollection;',
  "CREATE BACKUP COLLECTION c ( TABLE orders ) WITH ( STORAGE='cluster', STORAGE='cluster' );",
  "CREATE BACKUP COLLECTION c ( TABLE orders ) WITH ( STORAGE='cluster', storage='cluster' );",
  'CREATE BACKUP COLLECTION c ( TABLE orders ) WITH ( INT_SETTING=1 );',
  'VERIFY shop WITH (level=structure)',
  // Mistyped keywords
  'BAKCUP shop',
  'CRAETE BACKUP COLLECTION c',
  'BACKUP shop INCREMENTL',
  "CREATE BACKUP COLLECTION c DATABSE WITH (STORAGE='cluster')",
  'DELETE FROM orders',
  // The lists' rules
  "CREATE BACKUP COLLECTION c (TABLE a,) WITH (STORAGE='cluster')",
  "CREATE BACKUP COLLECTION c () WITH (STORAGE='cluster')",
  'CREATE BACKUP COLLECTION c WITH ()',
  "ALTER BACKUP COLLECTION c SET (A='b'), ADD TABLE x",
  "ALTER BACKUP COLLECTION c ADD TABLE x, SET (A='b')",
  "ALTER BACKUP COLLECTION c SET (A='b'), RESET (a)",
  'ALTER BACKUP COLLECTION c',
  // Names
  'BACKUP',
  'BACKUP my-shop',
  'RESTORE shop TABLE public."a ""b".c AS d',
  'BACKUP "shop"',
  'RESTORE 1shop',
  'BACKUP a b; RESTORE c',
  "CREATE BACKUP COLLECTION (TABLE a) WITH (STORAGE='cluster')",
  // Unclosed strings, names and comments
  "RESTORE shop AT 'x; BACKUP shop",
  'BACKUP `shop',
  'BACKUP shop /* because',
  // SELECT
  'SELECT',
  'SELECT;',
  "SELECT status FROM operations() WHERE id = 'full; BACKUP shop",
  'SELECT status /* because',
  'SELCT status FROM operations()',
  'SELECTED',
  // Places
  'BACKUP shop;\n\n\tRESTORE shop ATT;',
  'RESTORE -- which?\n\n',
  "CREATE BACKUP COLLECTION 店舗\tデータ (TABLE a) WITH (STORAGE='cluster')",
  'BACKUP \u001b[31mshop',
  // Backups and times
  "DROP BACKUP '20261121120000Z_full'",
  "BACKUP a; PIN BACKUP '2026-11-21T12:00:00Z'",
  "RESTORE '2026-11-21'",
  "COPY BACKUP COLLECTION '20261121120000Z' TO 's3'",
  'RESTORE shop AT 20261121120000Z_full',
  "RESTORE DATABASE AT -1 day INTO './new.db'",
  'VERIFY shop AT 2026-11-21 12:30',
  'VERIFY DATABASE AT yesterday',
  'DROP DATABASE BACKUP',
  'PIN BACKUP shop UNTIL 90 days',
  "CREATE BACKUP COLLECTION c (DATABASE, TABLE a) WITH (STORAGE='cluster')",
  // The other dialect
  "RESTORE DATABASE TABLE a, TABLE trades AS old INTO './new'",
  'RESTORE DATABASE',
  "VERIFY DATABASE FROM 'x'",
];

test.each(texts)('the text for users: %s', (text) => {
  expect(`\n> ${text.replace('\u001b', 'ESC')}\n${renderError(errorOf(text))}`).toMatchSnapshot();
});

test('a syntax error has its status and exit status from the table', () => {
  expect(() => parse('BAKCUP')).toThrow(
    expect.objectContaining({code: 'SYNTAX', exitStatus: 2, context: {line: 1, column: 1}}),
  );
});

test('the mark of a long line is below the error, and both fit into a terminal', () => {
  const tables = Array.from({length: 200}, (_, index) => `TABLE table_${index}`);
  tables[100] = 'TABEL wrong';
  const {cause} = errorOf(`CREATE BACKUP COLLECTION c (${tables.join(', ')}) WITH (STORAGE='cluster')`);
  const [line, mark] = cause!.split('\n') as [string, string];
  expect(line.slice(mark.length - 1)).toMatch(/^TABEL wrong/);
  expect(line).toMatch(/^….*…$/);
  expect(line.length).toBeLessThanOrEqual(74);
});

test('a very long word is truncated', () => {
  expect(errorOf(`BACKUP c ${'x'.repeat(1_000_000)}`).message).toBe(
    `syntax error at line 1, column 10: found \`${'x'.repeat(40)}…\`, expected INCREMENTAL, WITH ` +
      'or the end of the statement',
  );
});

test('FULL after BACKUP: a full backup has no word', () => {
  const full = (text: string) => {
    try {
      parse(text);
    } catch (error) {
      return (error as {next?: string}).next;
    }
    return undefined;
  };
  expect(full('BACKUP club FULL')).toBe('leave it out: a backup is a full one unless INCREMENTAL follows');
  expect(full('BACKUP full')).toBeUndefined();
});

test.each([
  "COPY BACKUP COLLECTION c TOO 's3::bucket=b;secret_access_key=SEKRET'",
  "COPY BACKUP COLLECTION c TO 's3::bucket=b;secret_access_key=SEKRET' now",
  "COPY BACKUP COLLECTION c TO 's3::bucket=b;secret_access_key=a SEKRET",
  'COPY BACKUP COLLECTION c TO "s3::bucket=b;secret_access_key=SEKRET" now',
  'COPY BACKUP COLLECTION c TO s3::bucket=b;secret_access_key=SEKRET',
  "COPY 's3::access_key_id=AK;\nsecret_access_key=SEKRET'",
  "RESTORE c INTO 'postgres://me:SEKRET@host/db' AT",
  'RESTORE c INTO postgres://me:SEKRET@host/db',
  "RESTORE c INTO 'host=h password=SEKRET' AT",
  "CREATE BACKUP COLLECTION c DATABASE WITH (PASSWORD='SEKRET' STORAGE='cluster')",
  'CREATE BACKUP COLLECTION c DATABASE WITH (secret_access_key = SEKRET)',
  '`s3::bucket=b;secret_access_key=SEKRET`',
])('a syntax error does not repeat a secret: %s', (text) => {
  const error = errorOf(text);
  expect(JSON.stringify([error, renderError(error)])).not.toContain('SEKRET');
});

test('the mark is below the error beside a secret', () => {
  const {message, cause} = errorOf("COPY BACKUP COLLECTION c TO 's3::bucket=b;secret_access_key=SEKRET' now");
  expect(message).toMatch(/column 69: found `now`/);
  expect(cause).toBe(`COPY BACKUP COLLECTION c TO 's3::***' now\n${' '.repeat(38)}^`);
});
