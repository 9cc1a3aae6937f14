import {type Depends, dependsOf, type ObjectKey, objectKey} from '../catalog/depends.ts';
import {userSchemas} from '../catalog/own-schemas.ts';
import type {Connection} from '../connection/connection.ts';
import {asIdent} from './rewrite.ts';
import {namePairs} from './tokens.ts';

/**
 * What makes the result of a function depend on more than its arguments, besides the names of tables: statements that
 * are made while it runs, names in texts, sequences and settings. What is caught as an exception hides that it failed.
 */
const revealing = new RegExp(
  String.raw`\b(?:execute|exception|reg(?:class|type|proc|procedure|namespace)|to_reg\w+|(?:next|curr|last|set)val|` +
    String.raw`(?:query|table|cursor|schema|database)_to_\w+|dblink\w*|ts_stat|lo_\w+|` +
    String.raw`current_(?:setting|schemas?))\b|` +
    // A table that may not exist.
    String.raw`\b(?:from|join|into|update|only)\s+[\w"]+\s*\.`,
  'iu',
);

type Found = {
  key: ObjectKey;
  schema: string;
  name: string;
  /** Undefined in languages other than SQL and PL/pgSQL. */
  text: string | undefined;
  /** How a statement names it, if the server expands it and this transaction created it: others stay as they are. */
  called: string | undefined;
  /** Names, without schemas, of the tables that the text may look at. */
  tables: Set<string>;
};

/**
 * Functions of the user that may look at other objects by their names, and everything that calls them: they do so when
 * a row is checked or indexed, and the server knows nothing of it. Whoever creates such a check or index while the
 * other tables lack their names or their rows gets an error, or another result. In doubt, a function is one of them.
 */
export class LookingFunctions {
  readonly #found: ReadonlyMap<ObjectKey, Found>;
  /** `schema.name`, as `asIdent` writes both. */
  readonly #names: ReadonlySet<string>;
  #depends: Depends | undefined;

  private constructor(found: readonly Found[]) {
    this.#found = new Map(found.map((one) => [one.key, one]));
    this.#names = new Set(found.map(({schema, name}) => `${asIdent(schema)}.${asIdent(name)}`));
  }

  /**
   * @param tables names, without schemas, of tables, views and functions that will exist; in addition to those of the
   *   user's schemas
   */
  static async read(connection: Connection, tables: Iterable<string>): Promise<LookingFunctions | undefined> {
    const functions = await functionsOf(connection);
    if (functions.length === 0) return undefined;
    const looking = lookingOf(functions, {
      tables: new Set([...tables, ...(await names(connection, 'pg_class', 'rel'))]),
      others: new Set([
        ...(await names(connection, 'pg_proc', 'pro')),
        ...(await names(connection, 'pg_type', 'typ', "AND o.typtype <> 'b'")),
      ]),
    });
    return looking.length === 0 ? undefined : new LookingFunctions(looking);
  }

  /** What was created since is known too. */
  async readDepends(connection: Connection): Promise<void> {
    this.#depends = await dependsOf(connection);
  }

  /**
   * Runs `work` in a transaction in which the server does not expand functions in SQL when an expression with one is
   * created, for which everything in their text would have to exist. It does not expand those that have settings.
   */
  async withoutExpanding(connection: Connection, work: () => Promise<void>): Promise<void> {
    const fresh = [...this.#found.values()].flatMap(({called}) => called ?? []);
    const alter = (how: string) => fresh.map((called) => `ALTER FUNCTION ${called} ${how}`).join('; ');
    await connection.run(alter('SET search_path FROM CURRENT'));
    await work();
    await connection.run(alter('RESET search_path'));
  }

  /** Whether a statement of pg_dump, which writes every name with its schema, has the name of one of them. */
  areNamedIn(sql: string): boolean {
    return namePairs(sql).some(([schema, name]) => this.#names.has(`${asIdent(schema)}.${asIdent(name ?? '')}`));
  }

  /**
   * What an object looks at through one of them: a constraint, an expression, the type of a column by the check of a
   * domain.
   * @param without tables that the object is a part of
   * @returns names of tables, without schemas; undefined if it calls none of them
   */
  lookedAtBy(start: ObjectKey, without: ReadonlySet<ObjectKey> = new Set()): ReadonlySet<string> | undefined {
    const seen = new Set(without);
    seen.delete(start);
    const open = [start];
    let tables: Set<string> | undefined;
    for (let key = open.pop(); key !== undefined; key = open.pop()) {
      if (seen.has(key)) continue;
      seen.add(key);
      const found = this.#found.get(key);
      if (found !== undefined) tables = new Set([...(tables ?? []), ...found.tables]);
      open.push(...(this.#depends?.refers.get(key) ?? []));
      // The checks of a domain, the functions of an operator class.
      if (withParts.has(classOf(key))) open.push(...(this.#depends?.partsOf.get(key) ?? []));
    }
    return tables;
  }
}

/** @param oid of a type */
export const typeKey = (oid: string) => objectKey(typeClass, oid);

const classOf = (key: ObjectKey) => key.split(' ')[0]!;
const typeClass = '1247';
/** pg_type, pg_opclass, pg_opfamily: https://www.postgresql.org/docs/18/catalogs.html */
const withParts = new Set([typeClass, '2616', '2753']);

/** Those that are not written in C. */
async function functionsOf(connection: Connection): Promise<readonly Found[]> {
  const rows = await connection.rows(
    `SELECT 'pg_proc'::regclass::oid, p.oid, n.nspname, p.proname,
      CASE WHEN l.lanname IN ('sql', 'plpgsql') THEN coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) END,
      CASE WHEN l.lanname = 'sql' AND p.prosqlbody IS NULL AND p.proconfig IS NULL AND p.prokind = 'f'
        AND age(p.xmin) <= age(pg_current_xact_id()::xid) THEN p.oid::regprocedure END
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE p.pronamespace IN ${userSchemas} AND l.lanname NOT IN ('internal', 'c')`,
  );
  return rows.map(([classOid, oid, schema, name, text, called]) => ({
    key: objectKey(classOid!, oid!),
    schema: schema!,
    name: name!,
    text: text ?? undefined,
    called: called ?? undefined,
    tables: new Set(),
  }));
}

async function names(connection: Connection, catalog: string, prefix: string, more = ''): Promise<readonly string[]> {
  const rows = await connection.rows(
    `SELECT DISTINCT o.${prefix}name FROM ${catalog} o WHERE o.${prefix}namespace IN ${userSchemas} ${more}`,
  );
  return rows.map(([name]) => name!);
}

/** @param others functions and types, which are found without their schema only on the application's search path */
function lookingOf(
  functions: readonly Found[],
  {tables, others}: {tables: ReadonlySet<string>; others: ReadonlySet<string>},
): readonly Found[] {
  const looking = new Set<Found>();
  const calls = new Map<Found, ReadonlySet<string>>();
  for (const one of functions) {
    const called = new Set<string>();
    let isLooking = one.text === undefined || revealing.test(one.text);
    for (const [first, second] of namePairs(one.text ?? '')) {
      for (const name of [first, second]) if (name !== undefined && tables.has(name)) one.tables.add(name);
      if (second === undefined && others.has(first)) isLooking = true;
      if (second !== undefined) called.add(`${asIdent(first)}.${asIdent(second)}`);
    }
    if (isLooking || one.tables.size > 0) looking.add(one);
    calls.set(one, called);
  }
  for (let before = -1; before !== looking.size; ) {
    before = looking.size;
    const known = new Set([...looking].map(({schema, name}) => `${asIdent(schema)}.${asIdent(name)}`));
    for (const [one, called] of calls) {
      if (![...called].some((name) => known.has(name))) continue;
      looking.add(one);
    }
  }
  return [...looking];
}
