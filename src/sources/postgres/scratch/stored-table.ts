import {BkpError} from '../../../errors/index.ts';
import type {TableSchema} from '../../source.ts';
import type {StoredColumn} from './values.ts';

/** A table of a backup, as its rows must be read. */
export type ScratchTable = {
  name: string;
  /** In the order of the rows' fields: the key first. */
  columns: readonly StoredColumn[];
  /** How many of them are the key; 0: there is none. */
  keyParts: number;
};

/** @throws BkpError `UNSUPPORTED` for a backup of an older bkp, which did not record the types */
export function scratchTableOf({name, definition}: TableSchema): ScratchTable {
  const {columns, key} = definition;
  if (!Array.isArray(columns) || !Array.isArray(key)) {
    throw new BkpError('UNSUPPORTED', `the backup does not say which types the columns of ${name} have`, {
      cause: 'an older bkp took it',
      next: 'restore it, or take a new full backup',
      context: {table: name},
    });
  }
  return {
    name,
    columns: columns.map((column: string) => {
      const [own = '', type = '', kind = 'other'] = column.split('\0');
      return {name: own, type, kind};
    }),
    keyParts: key.length,
  };
}

/** How the table's schema changed: columns, the key, indexes, triggers; one phrase each. */
export function schemaChanges(before: TableSchema, after: TableSchema): readonly string[] {
  const [old, now] = [scratchTableOf(before), scratchTableOf(after)];
  const [typeOld, typeNow] = [old, now].map((table) => new Map(table.columns.map(({name, type}) => [name, type]))) as [
    Map<string, string>,
    Map<string, string>,
  ];
  const columns = [
    ...[...typeOld.keys()].filter((name) => !typeNow.has(name)).map((name) => `column ${name} dropped`),
    ...[...typeNow.keys()].filter((name) => !typeOld.has(name)).map((name) => `column ${name} added`),
    ...[...typeOld].flatMap(([name, type]) => {
      const next = typeNow.get(name) ?? type;
      return next === type ? [] : [`column ${name}: ${type}, now ${next}`];
    }),
  ];
  const parts = [
    ...partChanges('index', before, after, {of: 'indexes', named: /^CREATE (?:UNIQUE )?INDEX ("(?:[^"]|"")+"|\S+)/u}),
    ...partChanges('constraint', before, after, {of: 'constraints', named: /ADD CONSTRAINT ("(?:[^"]|"")+"|\S+)/u}),
    ...partChanges('foreign key', before, after, {of: 'references', named: /ADD CONSTRAINT ("(?:[^"]|"")+"|\S+)/u}),
    ...partChanges('trigger', before, after, {of: 'finish', named: /^CREATE (?:\w+ )?TRIGGER ("(?:[^"]|"")+"|\S+)/u}),
  ];
  return [...columns, ...parts];
}

function partChanges(
  what: string,
  before: TableSchema,
  after: TableSchema,
  {of, named}: {of: string; named: RegExp},
): readonly string[] {
  const [old, now] = [before, after].map(({definition}) => {
    const statements = definition[of];
    const texts = Array.isArray(statements) ? statements : [];
    return new Map(
      texts.flatMap((statement: string) => {
        const sql = statement.slice(statement.indexOf('\t') + 1);
        const name = named.exec(sql)?.[1];
        return name === undefined ? [] : [[name, sql] as const];
      }),
    );
  }) as [Map<string, string>, Map<string, string>];
  return [
    ...[...old.keys()].filter((name) => !now.has(name)).map((name) => `${what} ${name} dropped`),
    ...[...now.keys()].filter((name) => !old.has(name)).map((name) => `${what} ${name} added`),
    ...[...old].filter(([name, sql]) => (now.get(name) ?? sql) !== sql).map(([name]) => `${what} ${name} changed`),
  ];
}
