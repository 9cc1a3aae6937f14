import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {tokensOf} from '../../src/lib/sqlite-tokens.ts';
import {rewrite} from '../../src/query/rewrite.ts';
import fc from '../seeds/fast-check.ts';

const names = {views: new Set(['backups', 'operations']), bare: new Set(['backup_instance_name'])};

// Pieces that must not change although they contain names of views: `written` is also the text for SQLite.
const kept = fc.constantFrom(
  "'backups()'",
  "'it''s backups() LIMIT -1'",
  '"backups()"',
  '"a""backups()"',
  '`backups()`',
  '`backup_instance_name```',
  '[operations()]',
  '/* backups() */',
  '/* ; */',
  '/**/',
  '-- backups(); backup_instance_name\n',
  'backups',
  'xbackups()',
  'backups_()',
  'größe_backups()',
  '1backups()',
  'backups(1)',
  '"backups"()',
  'x.backups()',
  'x . /* in */ backups()',
  'backup_instance_name()',
  't.backup_instance_name',
  'backup_instance_name.t',
  'AS backup_instance_name',
  'as /* c */ backup_instance_name',
  'LIMIT -1',
  'count(*)',
  '(',
  ')',
  ',',
  '-1.5e3',
  "x'00'",
);
const gap = fc.constantFrom('', ' ', '\n\t', '/* () */', '-- (\n');
const casing = fc.constantFrom(
  (word: string) => word,
  (word: string) => word.toUpperCase(),
);
const call = fc.tuple(fc.constantFrom('backups', 'operations'), casing, gap, gap).map(([name, as, before, within]) => ({
  written: `${as(name)}${before}(${within})`,
  given: `${as(name)}${before} ${within} `,
}));
const bare = casing.map((as) => ({
  written: as('backup_instance_name'),
  given: `${as('backup_instance_name')}()`,
}));
const blank = fc.constantFrom('\u00a0', '\u3000', '\v').map((written) => ({written, given: ' '}));
const piece = fc.oneof(
  kept.map((written) => ({written, given: written})),
  call,
  bare,
  blank,
);

test('calls of views lose their parentheses, bare scalars get parentheses, and nothing else changes', () => {
  fc.assert(
    fc.property(fc.array(piece, {maxLength: 8}), (pieces) => {
      // The commas separate a piece from its neighbours.
      const text = pieces.map(({written}) => written).join(' , ');
      expect(rewrite(`SELECT ${text} , 1`, names).text).toBe(
        `SELECT ${pieces.map(({given}) => given).join(' , ')} , 1`,
      );
    }),
    {numRuns: 1000},
  );
});

test('the tokens of every text joined are the text, and rewriting twice changes nothing more', () => {
  const sign = fc.constantFrom("'", '"', '`', '[', ']', '--', '/*', '*/', '\n', '(', ')', '.', ';', '-', '1');
  const word = fc.constantFrom('backups', 'limit', 'as', 'backup_instance_name', 'SELECT');
  const text = fc
    .array(fc.oneof(sign, word, fc.string({unit: 'binary', maxLength: 3})), {maxLength: 20})
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, (any) => {
      expect(
        tokensOf(any, {foreignBlanks: true})
          .map((token) => token.text)
          .join(''),
      ).toBe(any);
      const once = rewrite(any, {...names, bare: new Set()});
      if (once.last === undefined && !once.several)
        expect(rewrite(once.text, {...names, bare: new Set()}).text).toBe(once.text);
    }),
    {numRuns: 1000},
  );
});

test('SQLite divides a text in the same way: a literal for bkp is one value for SQLite', () => {
  const database = new DatabaseSync(':memory:');
  const literal = fc.string({
    unit: fc.constantFrom("'", '"', '`', '[', ']', '-', '/', '*', ';', ' ', 'backups()', 'ü'),
  });
  fc.assert(
    fc.property(literal, (content) => {
      const quoted = {
        string: `'${content.replaceAll("'", "''")}'`,
        double: `"${content.replaceAll('"', '""')}"`,
        back: `\`${content.replaceAll('`', '``')}\``,
      };
      const text =
        `SELECT ${quoted.string} AS ${quoted.double}, 2 AS ` + `${quoted.back}/*${content.replaceAll('/', '')} */`;
      const {text: given, several} = rewrite(text, names);
      expect(given).toBe(text);
      expect(several).toBe(false);
      const statement = database.prepare(given);
      expect(statement.columns().map(({name}) => name)).toEqual([content, content]);
      statement.setReturnArrays(true);
      expect(statement.get()).toEqual([content, 2]);
    }),
    {numRuns: 500},
  );
  database.close();
});

test.each<[string, object]>([
  ['SELECT 1 LIMIT -3', {text: `SELECT 1${' '.repeat(5)}`, last: 3}],
  ['SELECT 1 limit - 3 ; -- the end', {text: `SELECT 1${' '.repeat(9)}-- the end`, last: 3}],
  ['SELECT * FROM (SELECT 1 LIMIT -3)', {text: 'SELECT * FROM (SELECT 1 LIMIT -3)'}],
  ['SELECT 1 LIMIT 3', {text: 'SELECT 1 LIMIT 3'}],
  ['SELECT 1 LIMIT -1 OFFSET 2', {text: 'SELECT 1 LIMIT -1 OFFSET 2'}],
  ['SELECT 1 ORDER BY 5 -3', {text: 'SELECT 1 ORDER BY 5 -3'}],
  ["SELECT 'LIMIT' -3", {text: "SELECT 'LIMIT' -3"}],
])('%s', (text, expected) => {
  expect(rewrite(text, names)).toEqual({written: expect.any(Function), isSelect: true, several: false, ...expected});
});

test('a long text takes time proportional to its length', () => {
  const text = `SELECT '${"''".repeat(200_000)}' ${'/* - */'.repeat(50_000)} ${'backups() , '.repeat(50_000)} "`;
  expect(rewrite(text, names).text).toHaveLength(text.length);
});
