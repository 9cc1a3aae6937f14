import {expect, test} from 'vitest';
import {backupCollection, backupDatabase, parse} from '../../src/sql/index.ts';

test.each(['shop', 'a `b` c', 'database', 'abort'])(
  'the statement written for a backup of %s is the one that its own text parses to',
  (name) => {
    for (const incremental of [false, true]) {
      const written = backupCollection(name, {incremental});
      const [{place: _, ...parsed}] = parse(written.text) as [ReturnType<typeof backupCollection>];
      expect(parsed).toMatchObject({
        kind: 'backup',
        text: written.text,
        incremental,
        settings: [],
        collection: {text: name},
      });
    }
  },
);

test('the statement written for BACKUP DATABASE is the one that its text parses to', () => {
  expect(parse(backupDatabase.text)).toEqual([backupDatabase]);
});
