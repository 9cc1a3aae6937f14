import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {keywords, parse} from '../../src/sql/index.ts';

const manual = readFileSync(join(import.meta.dirname, '../../docs/sql.md'), 'utf8');
const examples = [...manual.matchAll(/^```sql\n(.*?)^```$/gms)].map((match) => match[1]!);

test('the manual has an example of every kind of statement, and all examples parse', () => {
  const kinds = new Set(examples.flatMap((example) => parse(example)).map((statement) => statement.kind));
  expect([...kinds].sort()).toEqual([
    'alter-collection',
    'backup',
    'backup-abort',
    'backup-database',
    'checkpoint',
    'copy',
    'create-collection',
    'drop-backup',
    'drop-collection',
    'drop-database-backup',
    'pin',
    'pin-database',
    'restore',
    'restore-database',
    'select',
    'show-backups',
    'show-collections',
    'unpin',
    'unpin-database',
    'verify',
    'verify-database',
  ]);
});

test('every keyword is in the manual', () => {
  expect(keywords.filter((keyword) => !new RegExp(`\\b${keyword}\\b`).test(manual))).toEqual([]);
});

test('the error in the manual is the actual one', () => {
  const [, message] = /^bkp: (syntax error .*) \(GENERIC_ERROR\)$/m.exec(manual)!;
  expect(() => parse('BACKUP shop INCREMENTL')).toThrow(expect.objectContaining({message}));
});
