import {expect, test} from 'vitest';
import {sharedObjects, storedAfter} from '../../../src/sources/postgres/restore/stored.ts';

// pg_dump 15 writes ALTER TABLE … OWNER for views, materialized views and sequences.

test.each([
  ['MATERIALIZED VIEW', 'TABLE app.sums', 'MATERIALIZED VIEW app.sums'],
  ['VIEW', 'TABLE app.sums', 'VIEW app.sums'],
  ['SEQUENCE', 'TABLE app.sums', 'SEQUENCE app.sums'],
  ['MATERIALIZED VIEW', 'MATERIALIZED VIEW app.sums', 'MATERIALIZED VIEW app.sums'],
  ['FUNCTION', 'FUNCTION app.sums()', 'FUNCTION app.sums()'],
])('a stored %s that was called %s is called %s', (type, written, called) => {
  const object = {type, schema: 'app', name: 'sums', owner: 'o', called: written, sql: 'CREATE …'};
  const {name, ...definition} = object;
  expect(storedAfter([{name: 'app.sums', definition: {...definition, part: name}}])).toMatchObject([{called}]);
  const shared = sharedObjects({
    product: 'postgres',
    version: 150_018,
    encoding: 'UTF8',
    shared: JSON.stringify([object]),
  });
  expect(shared).toMatchObject([{called}]);
});
