import type {Random} from '../../simulator/random.ts';

/** Tables of PostgreSQL with keys, columns, partitions and foreign keys of many kinds, and changes of their rows. */
export type RandomTables = {
  tables: readonly RandomTable[];
  /** Statements that create the tables, in any schema. */
  create: readonly string[];
  /** Those that come when the tables have rows. */
  references: readonly string[];
  /** Triggers and rules of the application. */
  triggers: readonly string[];
};

export type RandomTable = {
  name: string;
  /** Names of columns; empty: the table has no key. */
  key: readonly string[];
  columns: readonly RandomColumn[];
  /** Columns of unique constraints beside the key. */
  uniques: readonly string[][];
  references: readonly Reference[];
};

export type RandomColumn = {name: string; kind: Kind; isGenerated?: true; identity?: 'ALWAYS' | 'BY DEFAULT'};

export type Reference = {
  columns: readonly string[];
  parent: string;
  parentColumns: readonly string[];
  onDelete: Action;
  onUpdate: Action;
};

type Action = 'NO ACTION' | 'RESTRICT' | 'CASCADE' | 'SET NULL' | 'SET DEFAULT';

/** What both schemas of a test share. */
export const types = `CREATE TYPE public.mood AS ENUM ('sad', 'ok', 'it''s');
  CREATE SCHEMA lib; CREATE EXTENSION citext SCHEMA lib; CREATE TABLE public.audit (what text)`;

/** Few literals of each kind, so that values meet. */
const literals = {
  int: ['0', '1', '2', '3', '4', '5', '6', '7'],
  bigint: ['1', '2', '3', '4', '5', '6', '9007199254740993'],
  numeric: ['1', '1.0', '1.00', '2', '-0.5', "'NaN'", '1e30'],
  float8: ['0', "'-0'", '1.5', "'NaN'", "'-Infinity'", '1e-300'],
  text: ["''", "'a'", "'A'", "'é'", `E'\\t\\\\ "x"'`, "'a '"],
  citext: ["'a'", "'A'", "'b'", "'B'", "'ab'", "'aB'"],
  mood: ["'sad'", "'ok'", `'it''s'`],
  uuid: ["'00000000-0000-0000-0000-000000000001'", "'A0000000-0000-0000-0000-000000000002'"],
  bytea: ["'\\x'", "'\\x00ff'", "'abc'"],
  timestamptz: ["'2026-01-01 00:00+00'", "'infinity'", "'0044-03-15 BC'"],
  json: [`'{"a": 1}'`, `'{"a":1}'`, "'null'"],
  jsonb: [`'{"a": 1}'`, "'null'", `'{"a": 1.0}'`],
  array: ["'{}'", "'{1,NULL,3}'", "'[0:1]={1,2}'"],
} as const;

export type Kind = keyof typeof literals;

const typeOf = (kind: Kind) => ({array: 'int[]', citext: 'lib.citext', mood: 'public.mood'})[kind as string] ?? kind;
const keyKinds: readonly Kind[] = ['int', 'bigint', 'numeric', 'float8', 'text', 'citext', 'mood', 'uuid'];
const allKinds = Object.keys(literals) as Kind[];

export const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
const list = (names: readonly string[]) => names.map(quoted).join(', ');

export function randomTables(random: Random): RandomTables {
  const made = Array.from({length: random.between(1, 4)}, (_, at) => anyTable(random, at));
  const create = made.map(({table, sql}) => {
    const references = random.chance(0.65) ? random.between(1, 2) : 0;
    for (let at = 0; at < references; at++) {
      const parent = random.pick(made).table;
      const keys = [parent.key, ...parent.uniques.filter((unique) => !parent.deferrable.includes(unique))];
      const wanted = random.pick(keys);
      if (wanted.length === 0) continue;
      const kinds = wanted.map((name) => parent.columns.find((column) => column.name === name)!.kind);
      // One of a table and itself, or of a child with the key of its parent, needs no columns of its own.
      const own = kinds.map((kind, part) => ({name: `r${at} ${part}`, kind}));
      table.columns.push(...own);
      table.references.push({
        columns: own.map(({name}) => name),
        ...{parent: parent.name, parentColumns: wanted, onDelete: anyAction(random), onUpdate: anyAction(random)},
      });
    }
    return sql();
  });
  const tables = made.map(({table}) => table);
  return {
    tables,
    create,
    references: tables.flatMap(({name, references}) =>
      references.map(
        ({columns, parent, parentColumns, onDelete, onUpdate}) =>
          `ALTER TABLE ${quoted(name)} ADD FOREIGN KEY (${list(columns)})
            REFERENCES ${quoted(parent)} (${list(parentColumns)}) ON DELETE ${onDelete} ON UPDATE ${onUpdate}
            ${random.pick(['', '', '', 'DEFERRABLE', 'DEFERRABLE INITIALLY DEFERRED'])}`,
      ),
    ),
    triggers: tables.flatMap(({name, columns}) => {
      if (random.chance(0.7)) return [];
      const numbers = columns.filter(({kind, isGenerated, identity}) => kind === 'int' && !isGenerated && !identity);
      const change = numbers.map((column) => `new.${quoted(column.name)} := 7;`).join(' ');
      return [
        `CREATE FUNCTION public.${quoted(`change ${name}`)}() RETURNS trigger LANGUAGE plpgsql AS $$
          BEGIN INSERT INTO public.audit VALUES (tg_op); ${change} RETURN new; END $$`,
        `CREATE TRIGGER changes BEFORE INSERT OR UPDATE ON ${quoted(name)} FOR EACH ROW
          EXECUTE FUNCTION public.${quoted(`change ${name}`)}()`,
        ...random.pick([
          [`CREATE RULE "also 1" AS ON INSERT TO ${quoted(name)} DO ALSO INSERT INTO public.audit VALUES ('rule')`],
          [`ALTER TABLE ${quoted(name)} ENABLE ALWAYS TRIGGER changes`],
          [`ALTER TABLE ${quoted(name)} DISABLE TRIGGER changes`],
          [],
        ]),
      ];
    }),
  };
}

const anyAction = (random: Random) =>
  random.pick<Action>(['NO ACTION', 'NO ACTION', 'RESTRICT', 'CASCADE', 'SET NULL', 'SET DEFAULT']);

type Making = Omit<RandomTable, 'columns' | 'references'> & {
  columns: RandomColumn[];
  references: Reference[];
  deferrable: readonly string[][];
};

function anyTable(random: Random, at: number): {table: Making; sql: () => string} {
  const name = random.pick([`t${at}`, `T "${at}"`]);
  const isParted = random.chance(0.25);
  const isKeyless = !isParted && random.chance(0.1);
  const keys: RandomColumn[] = [];
  if (!isKeyless) {
    const kind = random.pick(keyKinds);
    const isIdentity = random.chance(0.4);
    keys.push(
      isIdentity ? {name: 'id', kind: 'bigint', identity: random.pick(['ALWAYS', 'BY DEFAULT'])} : {name: 'id', kind},
    );
    if (random.chance(isParted ? 0.6 : 0.25)) keys.push({name: 'Key 2', kind: random.pick(['int', 'text', 'numeric'])});
  }
  const others: RandomColumn[] = Array.from({length: random.between(0, 3)}, (_, number) => ({
    name: `c${number}`,
    kind: random.pick(allKinds),
  }));
  if (random.chance(0.6)) others.push({name: 'n', kind: 'int'});
  if (random.chance(0.25)) others.push({name: 'made', kind: 'bigint', identity: random.pick(['ALWAYS', 'BY DEFAULT'])});
  const columns = [...keys, ...others];
  const isComputed = others.some(({name}) => name === 'n') && random.chance(0.4);
  if (isComputed) columns.push({name: 'twice', kind: 'int', isGenerated: true});
  const unique = random.pick(others.filter(({kind}) => keyKinds.includes(kind)))?.name;
  const uniques = unique !== undefined && !isParted && random.chance(0.5) ? [[unique]] : [];
  const isLate = random.chance(0.3);
  const parts = random.chance(0.5) ? 'HASH' : 'LIST';
  const by = parts === 'HASH' ? 'id' : keys.at(-1)?.name;
  const partitions = {
    HASH: [0, 1].map((n) => `FOR VALUES WITH (MODULUS 2, REMAINDER ${n})`),
    LIST: [`FOR VALUES IN (${literals[keys.at(-1)?.kind ?? 'int'][1]})`, 'DEFAULT'],
  }[parts];
  const sql = () => {
    const lines = columns.map(({name: column, kind, identity, isGenerated}) => {
      if (isGenerated) return `${quoted(column)} int GENERATED ALWAYS AS (n * 2) STORED`;
      const how = identity === undefined ? '' : ` GENERATED ${identity} AS IDENTITY`;
      return `${quoted(column)} ${typeOf(kind)}${how}`;
    });
    if (keys.length > 0) lines.push(`PRIMARY KEY (${list(keys.map((key) => key.name))})`);
    for (const of of uniques) lines.push(`UNIQUE (${list(of)})${isLate ? ' DEFERRABLE' : ''}`);
    const body = `CREATE TABLE ${quoted(name)} (${lines.join(', ')})`;
    if (!isParted) return body;
    const of = partitions.map(
      (what, n) => `CREATE TABLE ${quoted(`${name} part ${n}`)} PARTITION OF ${quoted(name)} ${what}`,
    );
    return [`${body} PARTITION BY ${parts} (${quoted(by!)})`, ...of].join(';\n');
  };
  const table = {name, key: keys.map((key) => key.name), columns, uniques, references: []};
  return {table: {...table, deferrable: isLate ? uniques : []}, sql};
}

const anyRow = (random: Random, table: string) => `${random.below(12)} % (SELECT greatest(count(*), 1) FROM ${table})`;

/** One statement that changes rows. The server refuses some of them. */
export function anyChange(random: Random, tables: readonly RandomTable[]): string {
  const written = ({columns}: RandomTable) => columns.filter(({isGenerated}) => !isGenerated);
  // A table may have no column that can be written.
  const all = tables.filter((one) => written(one).length > 0);
  if (all.length === 0) return 'SELECT 1';
  const table = random.pick(all);
  const name = quoted(table.name);
  const own = written(table);
  const one = `ctid IN (SELECT ctid FROM ${name} ORDER BY ctid OFFSET ${anyRow(random, name)} LIMIT 1)`;
  // Partitions of a table can have one ctid twice.
  const some = random.chance(0.9) ? `${one}` : 'true';
  const value = ({kind, identity}: RandomColumn) =>
    identity !== undefined && random.chance(0.4)
      ? 'DEFAULT'
      : random.chance(0.15)
        ? 'NULL'
        : `${random.pick<string>(literals[kind])}`;
  const changed = random.pick(own);
  return random.pick([
    () => insert(random, table, value),
    () => insert(random, table, value),
    () => insert(random, table, value),
    () => `UPDATE ${name} SET ${quoted(changed.name)} = ${value(changed)} WHERE ${some}`,
    () => `UPDATE ${name} SET ${quoted(changed.name)} = ${value(changed)} WHERE ${some}`,
    () => repoint(random, table, one),
    () => `DELETE FROM ${name} WHERE ${one}`,
    () => `DELETE FROM ${name} WHERE ${one}`,
    () => exchange(random, table),
    () =>
      random.chance(0.2)
        ? `TRUNCATE ${name} ${random.pick(['', 'RESTART IDENTITY'])} CASCADE`
        : `DELETE FROM ${name} WHERE ${one}`,
  ])();
}

function insert(random: Random, table: RandomTable, value: (column: RandomColumn) => string): string {
  const columns = table.columns.filter(({isGenerated}) => !isGenerated);
  const referring = table.references.filter(() => random.chance(0.8));
  const pointers = new Map(referring.flatMap((reference) => pointersOf(random, reference)));
  const values = columns.map((column) => pointers.get(column.name) ?? value(column));
  return `INSERT INTO ${quoted(table.name)} (${list(columns.map(({name}) => name))}) OVERRIDING SYSTEM VALUE
    VALUES (${values.join(', ')})`;
}

function pointersOf(random: Random, {columns, parent, parentColumns}: Reference): [string, string][] {
  const row = anyRow(random, quoted(parent));
  const from = `FROM ${quoted(parent)} ORDER BY ${list(parentColumns)} OFFSET ${row} LIMIT 1`;
  return columns.map((column, at) => [column, `(SELECT ${quoted(parentColumns[at]!)} ${from})`]);
}

/** Lets a row refer to another one. */
function repoint(random: Random, table: RandomTable, where: string): string {
  const reference = random.pick(table.references);
  if (reference === undefined) return `DELETE FROM ${quoted(table.name)} WHERE ${where}`;
  const pointers = pointersOf(random, reference).map(([column, from]) => `${quoted(column)} = ${from}`);
  return `UPDATE ${quoted(table.name)} SET ${pointers.join(', ')} WHERE ${where}`;
}

/** Two rows exchange a unique value, or one takes it over from another. */
function exchange(random: Random, table: RandomTable): string {
  const [name, column] = [quoted(table.name), random.pick(table.uniques)?.[0]];
  if (column === undefined) return `DELETE FROM ${name} WHERE false`;
  const c = quoted(column);
  return `DO $$ DECLARE a tid; b tid; va text; BEGIN
    SELECT ctid, ${c}::text INTO a, va FROM ${name} ORDER BY ctid OFFSET ${anyRow(random, name)} LIMIT 1;
    SELECT ctid INTO b FROM ${name} ORDER BY ctid OFFSET ${anyRow(random, name)} LIMIT 1;
    UPDATE ${name} SET ${c} = NULL WHERE ctid = a;
    EXECUTE format('UPDATE %s SET ${c} = %L WHERE ctid = $1', '${name}', va) USING b; END $$`;
}

/** One statement that changes a table. The server refuses some of them. */
export function anyAlteration(random: Random, tables: readonly RandomTable[]): string {
  const table = random.pick(tables);
  const name = quoted(table.name);
  const number = table.columns.find(({kind}) => kind === 'int');
  return random.pick([
    `ALTER TABLE ${name} ADD "added, later" int DEFAULT 5`,
    `ALTER TABLE ${name} ADD "added, later" text`,
    `ALTER TABLE ${name} ADD "needed" int NOT NULL DEFAULT 1, ALTER "needed" DROP DEFAULT`,
    `ALTER TABLE ${name} ADD CHECK (${quoted(number?.name ?? 'none')} <> 3) NOT VALID`,
    `ALTER TABLE ${name} ALTER id SET GENERATED BY DEFAULT`,
    `ALTER TABLE ${name} ALTER made SET GENERATED ALWAYS`,
  ]);
}
