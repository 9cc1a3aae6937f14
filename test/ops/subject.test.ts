import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {parseSubject, type Subject, subjectName, subjectText} from '../../src/ops/index.ts';
import {makeHome, newOperation} from './home.ts';

test.each<[string, Subject, string]>([
  ['collection shop', {kind: 'collection', name: 'shop'}, 'shop'],
  ['collection two words\nand lines', {kind: 'collection', name: 'two words\nand lines'}, 'two words\nand lines'],
  [
    'database sqlite::path=/srv/a b.db',
    {kind: 'database', name: 'sqlite::path=/srv/a b.db'},
    'sqlite::path=/srv/a b.db',
  ],
  ['databases', {kind: 'databases'}, 'databases'],
  ['target /srv/drill', {kind: 'target', name: '/srv/drill'}, '/srv/drill'],
  ['store fs::root=/x', {kind: 'store', name: 'fs::root=/x'}, 'fs::root=/x'],
  ['something new', {kind: 'other', name: 'something new'}, 'something new'],
  ['collection', {kind: 'other', name: 'collection'}, 'collection'],
])('the journal text %j is read and written back unchanged', (text, subject, name) => {
  expect(parseSubject(text)).toEqual(subject);
  expect(subjectText(subject)).toBe(text);
  expect(subjectName(subject)).toBe(name);
});

test('the journal stores the text that earlier versions stored', async () => {
  const home = makeHome();
  try {
    await home.open().create(newOperation({subject: {kind: 'collection', name: 'shop'}}));
    const db = new DatabaseSync(home.file, {readOnly: true});
    expect(db.prepare('SELECT subject FROM operation').get()).toEqual({subject: 'collection shop'});
    db.close();
  } finally {
    home.remove();
  }
});
