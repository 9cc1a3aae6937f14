import {expect, test} from 'vitest';
import {BkpError} from '../../src/errors/index.ts';
import {backupRef, isComplete, keywords, type Name, parse} from '../../src/sql/index.ts';
import fc from '../seeds/fast-check.ts';
import {type Printable, print} from './print.ts';

const anyText = fc.string({unit: 'binary', maxLength: 12});
// Positions are not compared: they depend on the layout of the printer.
const name = fc.oneof(anyText, fc.constantFrom('shop', 'main.orders', ...keywords)).map((text) => ({text}) as Name);
const key = fc.string({unit: fc.constantFrom(...'ABC_`'), minLength: 1, maxLength: 8});
const setting = fc.record({key, value: anyText});
const settings = fc.uniqueArray(setting, {selector: (entry) => entry.key, minLength: 1, maxLength: 4});
const backup = fc.record({collection: name, point: anyText}, {requiredKeys: ['collection']});
const tables = fc.array(name, {minLength: 1, maxLength: 3});
const members = fc.oneof(
  tables.map((list) => ({kind: 'tables' as const, tables: list})),
  fc.record({kind: fc.constant('database' as const), except: tables}, {requiredKeys: ['kind']}),
);
const settingActions = settings.map((all) =>
  all.map((entry, index) =>
    index % 2 === 0 ? {kind: 'set' as const, settings: [entry]} : {kind: 'reset' as const, keys: [entry.key]},
  ),
);
const memberAction = fc.oneof(
  fc.record({kind: fc.constantFrom('add-table' as const, 'drop-table' as const), table: name}),
  fc.record({kind: fc.constant('add-database' as const), except: tables}, {requiredKeys: ['kind']}),
  fc.record({kind: fc.constant('drop-database' as const)}),
);
const maybeSettings = fc.oneof(settings, fc.constant([]));
const is = <Kind extends string>(kind: Kind) => fc.constant(kind);

const statement: fc.Arbitrary<Printable> = fc.oneof(
  fc.record(
    {kind: is('create-collection'), name, ifNotExists: fc.boolean(), members, settings},
    {requiredKeys: ['kind', 'name', 'ifNotExists', 'settings']},
  ),
  fc.record({
    kind: is('alter-collection'),
    name,
    actions: fc.oneof(settingActions, fc.array(memberAction, {minLength: 1, maxLength: 3})),
  }),
  fc.record({kind: is('drop-collection'), name, ifExists: fc.boolean(), settings: maybeSettings}),
  fc.record({kind: is('drop-backup'), backup, settings: maybeSettings}),
  fc.record({kind: is('drop-database-backup'), timestamp: anyText, settings: maybeSettings}),
  fc.record(
    {kind: is('pin'), backup, until: anyText, settings: maybeSettings},
    {requiredKeys: ['kind', 'backup', 'settings']},
  ),
  fc.record({kind: is('unpin'), backup}),
  fc.record(
    {kind: is('pin-database'), timestamp: anyText, until: anyText, settings: maybeSettings},
    {requiredKeys: ['kind', 'timestamp', 'settings']},
  ),
  fc.record({kind: is('unpin-database'), timestamp: anyText}),
  fc.record({
    kind: is('backup'),
    collection: name,
    type: fc.constantFrom('full' as const, 'incremental' as const, 'incremental-or-full' as const),
    settings: fc.oneof(settings, fc.constant([])),
  }),
  fc.record(
    {
      kind: is('restore'),
      backup,
      tables: fc.array(fc.record({table: name, as: name}, {requiredKeys: ['table']}), {minLength: 1, maxLength: 3}),
      target: anyText,
      settings: fc.oneof(settings, fc.constant([])),
    },
    {requiredKeys: ['kind', 'backup', 'settings']},
  ),
  fc.record({kind: is('backup-database'), settings: fc.oneof(settings, fc.constant([]))}),
  fc.record({kind: is('backup-abort')}),
  fc.record({kind: is('checkpoint'), action: fc.constantFrom('create', 'release')}),
  fc.record(
    {
      kind: is('restore-database'),
      tables,
      timestamp: anyText,
      target: anyText,
      settings: fc.oneof(settings, fc.constant([])),
    },
    {requiredKeys: ['kind', 'target', 'settings']},
  ),
  fc.record(
    {kind: is('verify-database'), timestamp: anyText, settings: fc.oneof(settings, fc.constant([]))},
    {requiredKeys: ['kind', 'settings']},
  ),
  fc.record({kind: is('copy'), backup, target: anyText}),
  fc.record({kind: is('verify'), backup, settings: fc.oneof(settings, fc.constant([]))}),
  fc.record({kind: is('show-collections')}),
  fc.record({kind: is('show-backups'), collection: name}),
);

const piece = fc.oneof(
  anyText.map((text) => `'${text.replaceAll("'", "''")}'`),
  anyText.map((text) => `"${text.replaceAll('"', '""')}"`),
  anyText.map((text) => `\`${text.replaceAll('`', '``')}\``),
  fc.constantFrom('operations()', '*', '(', ')', ',', '-', '/', '+1.5e-3', 'a.b', 'größe', '[x]', '||', ...keywords),
);
const gap = fc.constantFrom(' ', '\n', '/* ; */', '-- ;\n', " /* ' */\t");
const selectText = fc
  .array(fc.tuple(gap, piece), {minLength: 1, maxLength: 8})
  .map((parts) => `SELECT${parts.flat().join('')}`);

const printed = fc.oneof(
  {arbitrary: statement.map((body) => ({body, text: print(body)})), weight: 8},
  {arbitrary: selectText.map((text) => ({body: {kind: 'select' as const}, text})), weight: 2},
);

const withoutPlaces = (value: unknown) =>
  JSON.parse(JSON.stringify(value, (field, inner) => (field === 'place' ? undefined : inner)));

test('a printed script parses to the original statements', () => {
  fc.assert(
    fc.property(
      fc.array(printed, {maxLength: 3}),
      fc.constantFrom(';', ' ;\n', '; -- c\n', ';/* c */;'),
      (all, separator) => {
        const script = all.map(({text}) => text).join(separator);
        expect(withoutPlaces(parse(script))).toEqual(withoutPlaces(all.map(({body, text}) => ({...body, text}))));
        expect(isComplete(`${script};`)).toBe(true);
      },
    ),
    {numRuns: 500},
  );
});

test('every text either parses or fails with a position and a reason', () => {
  const word = fc.oneof(
    fc.constantFrom(
      ...keywords,
      'shop',
      '(',
      ')',
      ',',
      '=',
      ';',
      '.',
      "'x'",
      '`y`',
      "'",
      '`',
      '/*',
      '--',
      '\n',
      '1',
      '\t',
    ),
    anyText,
  );
  fc.assert(
    fc.property(fc.array(word, {maxLength: 12}), (words) => {
      try {
        parse(words.join(' '));
      } catch (error) {
        if (!(error instanceof BkpError)) throw error;
        expect(['SYNTAX', 'UNSUPPORTED']).toContain(error.code);
        if (error.code === 'SYNTAX') {
          expect(error.message).toMatch(/^syntax error at line \d+, column \d+: ./);
          expect(String(error.cause)).toMatch(/^[^\n]*\n *\^$/);
        }
      }
    }),
    {numRuns: 2000},
  );
});

test('every name is either resolved or refused with a BkpError', () => {
  const path = fc.array(fc.oneof(anyText, fc.constantFrom('/Root', '.backups/collections', 'shop')), {maxLength: 4});
  fc.assert(
    fc.property(path, (parts) => {
      try {
        const {collection} = backupRef({collection: {text: parts.join('/'), place: {line: 1, column: 1}}}, 0);
        expect(collection).not.toMatch(/[/\p{Cc}]|^\.{0,2}$/u);
      } catch (error) {
        if (!(error instanceof BkpError)) throw error;
      }
    }),
    {numRuns: 1000},
  );
});
