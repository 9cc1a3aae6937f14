import {expect, test} from 'vitest';
import {backupCollection, backupDatabase, parse} from '../../src/sql/index.ts';

test.each(['shop', 'a `b` c', 'database', 'abort'])(
  'the statement written for a backup of %s is the one that its own text parses to',
  (name) => {
    for (const type of ['full', 'incremental', 'incremental-or-full'] as const) {
      const written = backupCollection(name, type);
      const [{place: _, ...parsed}] = parse(written.text) as [ReturnType<typeof backupCollection>];
      expect(parsed).toMatchObject({
        kind: 'backup',
        text: written.text,
        type,
        settings: [],
        collection: {text: name},
      });
    }
  },
);

test('the statement written for BACKUP DATABASE is the one that its text parses to', () => {
  expect(parse(backupDatabase.text)).toEqual([backupDatabase]);
});
