import {expect, test} from 'vitest';
import {findTable, type OpenedBackup} from '../../../src/collections/read/opened.ts';

// How the tables of a backup are named by SELECT, diff and export.

const found = (description: string, tables: readonly string[], name: string) =>
  findTable(
    {
      backup: {body: {source: {description}, tables: tables.map((one) => ({schema: {name: one}}))}},
    } as never as OpenedBackup,
    name,
  )?.schema.name;

const odd = ['my table', '"quoted"', 'a.b', 'ORDERS', "it's", '[x]', 'x'];

test.each([
  ['my table', 'my table'],
  ['"my table"', 'my table'],
  ['`My Table`', 'my table'],
  ['"quoted"', '"quoted"'],
  ['"""quoted"""', '"quoted"'],
  ['quoted', undefined],
  ['a.b', 'a.b'],
  ['"a.b"', 'a.b'],
  ['orders', 'ORDERS'],
  ['"it\'s"', "it's"],
  ['[x]', '[x]'],
  ['"x"', 'x'],
  ['"my table" ', undefined],
])('%s is a table of an SQLite database as it is, or as SQL reads it', (name, table) => {
  expect(found('sqlite::path=app.db', odd, name)).toBe(table);
});

test.each([
  ['Ä', 'Ä'],
  ['ä', 'ä'],
  ['Größe', 'größe'],
  ['GRÖßE', undefined],
])('%s: SQLite folds only ASCII letters', (name, table) => {
  expect(found('sqlite::path=app.db', ['Ä', 'ä', 'größe'], name)).toBe(table);
});

const served = ['public.orders', 'public."Orders"', 'billing.cards', 'public."my.table"', '"my schema"."my table"'];

test.each([
  ['cards', 'billing.cards'],
  ['"billing"."cards"', 'billing.cards'],
  ['public."my.table"', 'public."my.table"'],
  ['"my.table"', 'public."my.table"'],
  ['my table', '"my schema"."my table"'],
  ['"my schema"."my table"', '"my schema"."my table"'],
  ['public."Orders"', 'public."Orders"'],
  ['public.orders', 'public.orders'],
  ['orders', undefined],
])('%s is a table of a PostgreSQL database', (name, table) => {
  expect(found('postgres::database=app', served, name)).toBe(table);
});
