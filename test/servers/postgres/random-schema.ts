/** Statements that create objects of all kinds in several schemas, which refer to each other. Some fail. */
export function randomSchema(random: () => number): readonly string[] {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const schemas = ['public', 's1', 's2', '"S 3"'];
  const sql: string[] = schemas.slice(1).map((name) => `CREATE SCHEMA ${name}`);
  const types = ['int', 'text'];
  const tables: string[] = [];
  const views: string[] = [];
  /** Of any arguments, with what they return. */
  const calls: string[] = [];
  let count = 0;
  const name = (kind: string) => `${pick(schemas)}.${kind}${count++}`;
  const type = () => `${pick(types)}${random() < 0.2 ? '[]' : ''}`;
  const source = () => pick([...tables, ...views, '(SELECT 1 AS id) one']);
  const createTable = () => {
    const table = name('t');
    const columns = [`id int${pick([' PRIMARY KEY', ' PRIMARY KEY', '', ' GENERATED ALWAYS AS IDENTITY UNIQUE'])}`];
    columns.push(`a ${type()}`, `b ${type()}`);
    if (random() < 0.3) columns.push(`n ${pick(['serial', 'bigserial'])}`);
    if (calls.length > 0 && random() < 0.4) columns.push(`c int DEFAULT ${pick(calls)}`);
    if (calls.length > 0 && random() < 0.3) columns.push(`CHECK (${pick(calls)} > 0)`);
    const kind = random();
    if (kind < 0.15 && tables.length > 0) sql.push(`CREATE TABLE ${table} (own int) INHERITS (${pick(tables)})`);
    else if (kind < 0.35) {
      sql.push(`CREATE TABLE ${table} (id int, a ${type()}, b int) PARTITION BY RANGE (id)`);
      const [first, second, leaf] = [name('p'), name('p'), name('p')];
      sql.push(`CREATE TABLE ${first} PARTITION OF ${table} FOR VALUES FROM (0) TO (10)`);
      sql.push(`CREATE TABLE ${second} PARTITION OF ${table} DEFAULT PARTITION BY LIST (b)`);
      sql.push(`CREATE TABLE ${leaf} PARTITION OF ${second} DEFAULT`);
      types.push(pick([first, second, leaf]));
    } else sql.push(`CREATE TABLE ${table} (${columns.join(', ')})`);
    tables.push(table);
    if (random() < 0.5) types.push(table);
  };
  const makers: readonly (() => void)[] = [
    createTable,
    createTable,
    () => {
      const made = name('e');
      sql.push(`CREATE TYPE ${made} AS ENUM ('a', 'b')`);
      types.push(made);
    },
    () => {
      const made = name('c');
      sql.push(`CREATE TYPE ${made} AS (x ${type()}, y ${type()})`);
      types.push(made);
    },
    () => {
      const made = name('d');
      const check = random() < 0.3 && calls.length > 0 ? ` CHECK (${pick(calls)} = 1)` : '';
      sql.push(`CREATE DOMAIN ${made} AS ${type()}${check}`);
      types.push(made);
    },
    () => {
      const made = name('f');
      const argument = type();
      const body = pick([
        'LANGUAGE sql RETURN 1',
        "LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
        `LANGUAGE sql BEGIN ATOMIC SELECT count(*)::int FROM ${source()}; END`,
        `LANGUAGE sql RETURN ${pick([...calls, '2'])}`,
        `LANGUAGE sql AS 'SELECT count(*)::int FROM ${source()}'`,
        `LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*)::int FROM ${source()}); END'`,
      ]);
      sql.push(`CREATE FUNCTION ${made}(${argument}) RETURNS int IMMUTABLE ${body}`);
      calls.push(`${made}(NULL::${argument})`);
    },
    () => {
      const made = name('r');
      sql.push(`CREATE FUNCTION ${made}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`);
      sql.push(`CREATE TRIGGER g${count++} AFTER INSERT ON ${source()} FOR EACH ROW EXECUTE FUNCTION ${made}()`);
    },
    () => {
      const made = name('v');
      const extra = random() < 0.3 && calls.length > 0 ? `, ${pick(calls)} AS called` : '';
      sql.push(`CREATE ${pick(['', 'MATERIALIZED '])}VIEW ${made} AS SELECT x.id${extra} FROM ${source()} x`);
      views.push(made);
      if (random() < 0.3) types.push(made);
    },
    () => sql.push(`ALTER TABLE ${source()} ADD FOREIGN KEY (id) REFERENCES ${source()} (id)`),
    () => sql.push(`CREATE INDEX i${count++} ON ${source()} (${pick(['id', `(${pick([...calls, '1'])} + id)`])})`),
    () => sql.push(`CREATE STATISTICS ${name('st')} ON id, a FROM ${source()}`),
    () => {
      const condition = pick([`EXISTS (SELECT FROM ${source()})`, `${pick([...calls, '1'])} > 0`]);
      sql.push(`CREATE POLICY po${count++} ON ${source()} USING (${condition})`);
    },
    () =>
      sql.push(`CREATE RULE ru${count++} AS ON DELETE TO ${source()} DO ALSO INSERT INTO ${source()} (id) VALUES (1)`),
    () => {
      const made = name('q');
      sql.push(`CREATE SEQUENCE ${made}`, `ALTER TABLE ${source()} ALTER id SET DEFAULT nextval('${made}')`);
      if (random() < 0.5) sql.push(`ALTER SEQUENCE ${made} OWNED BY ${source()}.id`);
    },
    () => {
      const made = name('o');
      sql.push(
        `CREATE OPERATOR CLASS ${made} FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,
          OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int4, int4)`,
        `ALTER TABLE ${source()} ADD EXCLUDE USING btree (id ${made} WITH =)`,
      );
    },
    () => {
      const made = name('l');
      sql.push(`CREATE COLLATION ${made} (provider = libc, locale = 'C')`);
      sql.push(`ALTER TABLE ${source()} ADD z${count++} text COLLATE ${made}`);
    },
    () => {
      const made = name('w');
      sql.push(`CREATE TEXT SEARCH CONFIGURATION ${made} (copy = simple)`);
      sql.push(`CREATE INDEX i${count++} ON ${source()} USING gin (to_tsvector('${made}', id::text))`);
    },
    () => {
      const made = name('a');
      sql.push(`CREATE AGGREGATE ${made}(${pick(types)}) (sfunc = array_append, stype = ${pick(types)}[])`);
    },
    () => sql.push(`CREATE PROCEDURE ${name('pr')}(${type()}) LANGUAGE sql AS 'SELECT 1'`),
    () => sql.push(`COMMENT ON TABLE ${source()} IS 'of ${count}'`),
  ];
  for (let left = 12 + Math.floor(random() * 25); left > 0; left--) pick(makers)();
  return sql;
}
