import {expect, test} from 'vitest';
import {
  backupRef,
  collectionName,
  keywords,
  parse,
  quoteName,
  storedTableName,
  tableName,
} from '../../src/sql/index.ts';

const name = (text: string) => ({text, place: {line: 1, column: 1}});
const at = (text: string, point?: string) =>
  backupRef({collection: name(text), ...(point === undefined ? {} : {point})}, Date.UTC(2026, 2, 31, 12) * 1000);

test.each(['shop', '.backups/collections/shop', '/Root/.backups/collections/shop'])(
  '%s is the collection shop',
  (text) => {
    expect(collectionName(name(text))).toBe('shop');
  },
);

test.each(['größe', 'a.b', '..a', "it's", 'a`b', 'a b', 'x'.repeat(200), '店'.repeat(27)])(
  '%s can be a collection',
  (text) => {
    expect(collectionName(name(text))).toBe(text);
  },
);

test.each([
  ['', 'BAD_REQUEST', 'Backup collection name cannot be empty'],
  ['/Root/.backups/collections/', 'BAD_REQUEST', 'Backup collection name cannot be empty'],
  // YS09
  [
    'SomePrefix/MyCollection1',
    'BAD_NAME',
    'Backup collections must be placed directly in /Root/.backups/collections, not at `SomePrefix/MyCollection1`',
  ],
  [
    '/Root/.backups/collections/a/b',
    'BAD_NAME',
    'Backup collections must be placed directly in /Root/.backups/collections, not at `a/b`',
  ],
  ['/Root/shop', 'BAD_NAME', 'Backup collections must be placed in /Root/.backups/collections, not at `/Root/shop`'],
  ['/', 'BAD_NAME', 'Backup collections must be placed in /Root/.backups/collections, not at `/`'],
  ['..', 'BAD_NAME', '`..` cannot be the name of a backup collection: it has a special meaning for folders'],
  [
    '.backups/collections/.',
    'BAD_NAME',
    '`.` cannot be the name of a backup collection: it has a special meaning for folders (written ' +
      '`.backups/collections/.`)',
  ],
  ['a\nb', 'BAD_NAME', '`a\\nb` cannot be the name of a backup collection: it contains a control character'],
  ['a\u{d800}', 'BAD_NAME', '`a\\ud800` cannot be the name of a backup collection: it is not valid Unicode'],
  [
    'x'.repeat(201),
    'BAD_NAME',
    `\`${'x'.repeat(60)}…\` cannot be the name of a backup collection: it has 201 characters, at most 200 are possible`,
  ],
  [
    '店'.repeat(28),
    'BAD_NAME',
    `\`${'店'.repeat(28)}\` cannot be the name of a backup collection: it is too long for the name ` +
      'of a folder (252 bytes of 250)',
  ],
])('%j is refused as the name of a collection', (text, code, message) => {
  expect(() => collectionName(name(text))).toThrow(expect.objectContaining({code, message}));
});

test('the hint for a name with a slash suggests its last part', () => {
  expect(() => collectionName(name('a/b/c d/'))).toThrow(
    expect.objectContaining({next: 'use a name without a slash, e.g. `c d`'}),
  );
});

test.each([
  ['orders', 'orders'],
  ['/Root/orders', 'orders'],
  ['/Root/shop/orders', 'shop/orders'],
  ['prefix/anotherTable', 'prefix/anotherTable'],
  ['/elsewhere/orders', '/elsewhere/orders'],
  ['main.orders', 'main.orders'],
  ['/Root/main.orders', 'main.orders'],
])('table %s is %s', (text, table) => {
  expect(tableName(name(text))).toBe(table);
});

test.each(['', '/Root/'])('table %j is refused in a collection, and found in a backup', (text) => {
  expect(() => tableName(name(text))).toThrow(expect.objectContaining({code: 'BAD_NAME'}));
  expect(storedTableName(name(text))).toBe('');
});

test.each([
  [at('shop'), {collection: 'shop'}],
  [at('shop', '20250215120000Z_full'), {collection: 'shop', point: '20250215120000Z_full'}],
  [at('shop', '20250215120000'), {collection: 'shop', point: '20250215120000Z'}],
  [at('shop/20250215120000Z_full'), {collection: 'shop', point: '20250215120000Z_full'}],
  [at('.backups/collections/shop/20250215120000Z'), {collection: 'shop', point: '20250215120000Z'}],
  [
    at('/Root/.backups/collections/shop/20250215120000Z_incremental'),
    {collection: 'shop', point: '20250215120000Z_incremental'},
  ],
  [at('/Root/.backups/collections/shop'), {collection: 'shop'}],
  [at('shop', 'latest'), {collection: 'shop', point: 'latest'}],
  [at('shop', '-1 day'), {collection: 'shop', point: '2026-03-30T12:00:00Z'}],
  [at('shop', ' - 2 HOURS '), {collection: 'shop', point: '2026-03-31T10:00:00Z'}],
  [at('shop/-1 month'), {collection: 'shop', point: '2026-02-28T12:00:00Z'}],
])('backupRef finds the collection and the point (%#)', (found, expected) => {
  expect(found).toEqual(expected);
});

test.each([
  ['shop/20250215120000Z', '20250215120000Z', 'BAD_REQUEST'],
  ['a/b/c', undefined, 'BAD_NAME'],
  ['/shop/20250215120000Z', undefined, 'BAD_NAME'],
  ['../20250215120000Z', undefined, 'BAD_NAME'],
  ['', undefined, 'BAD_REQUEST'],
])('backup %j AT %j is refused', (text, point, code) => {
  expect(() => at(text, point)).toThrow(expect.objectContaining({code}));
});

test.each([
  ['shop', 'shop'],
  ['Shop_1', 'Shop_1'],
  ['incremental', 'incremental'],
  ['database', '`database`'],
  ['ABORT', '`ABORT`'],
  ['table', '`table`'],
  ['my-shop', '`my-shop`'],
  ['1a', '`1a`'],
  ['a`b', '`a``b`'],
  ['', '``'],
])('quoteName writes %s as %s', (text, typed) => {
  expect(quoteName(text)).toBe(typed);
});

test.each([...keywords])('a table and a collection can be called %s where quoteName writes it', (word) => {
  const name = quoteName(word);
  for (const statement of [
    `RESTORE ${name} TABLE a, ${name} AT 'latest'`,
    `BACKUP ${name}`,
    `DROP BACKUP ${name} AT 'x'`,
  ]) {
    expect(() => parse(statement), statement).not.toThrow();
  }
});
