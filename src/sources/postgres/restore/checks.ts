import {BkpError} from '../../../errors/index.ts';
import type {TableName} from '../../source.ts';
import {objectKey} from '../catalog/depends.ts';
import {members} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {sqlStateOf} from '../connection/errors.ts';
import {qualified, quoteIdent} from '../connection/quote.ts';
import type {LookingFunctions} from '../schema/looking-functions.ts';
import {runOrLeave} from './later.ts';

// Tables get their rows without checks: in a chain, the rows of an older backup come first, from before somebody
// changed or deleted what a younger check forbids. And a check may depend on the moment, or call a function that was
// replaced since.

/** A check of a table, of one of its partitions, or of a domain; or the NOT NULL of a domain. */
export type Check = {
  /** Of a domain: one of the tables that have it. */
  table: TableName;
  /** `ALTER TABLE …` or `ALTER DOMAIN …` */
  alter: string;
  /** Quoted. */
  name: string;
  /** As `pg_get_constraintdef` writes it, or {@link setsNotNull}. */
  definition: string;
  /** It calls a function that looks at other tables, which must have their names and rows. */
  isLooking: boolean;
};

/** A check that not all rows meet. It holds for new rows. */
export type BrokenCheck = {check: Check; error: BkpError};

export const isOfDomain = ({alter}: Pick<Check, 'alter'>) => alter.startsWith('ALTER DOMAIN ');
/** The definition of the NOT NULL of a domain on servers that do not name it. */
export const setsNotNull = 'SET NOT NULL';
export const dropOf = ({alter, name, definition}: Check) =>
  `${alter} ${definition === setsNotNull ? 'DROP NOT NULL' : `DROP CONSTRAINT IF EXISTS ${name}`}`;
export const additionOf = ({name, definition}: Pick<Check, 'name' | 'definition'>) =>
  definition === setsNotNull ? setsNotNull : `ADD CONSTRAINT ${name} ${definition}`;
/** Whether a statement that adds it adds the NOT NULL of a domain. Definitions of checks end with a bracket. */
export const isOfNulls = (sql: string) => sql.endsWith(' NOT NULL');
/** What it is for people. */
export const kindOf = (sql: string) => (isOfNulls(sql) ? 'NOT NULL' : 'check');
/**
 * Adds it for new rows only. No server has a NOT NULL of a domain that does so; a check refuses the same values.
 * @param sql adds it for all rows
 */
export function forNewRows(sql: string): string {
  const named = sql.replace(/ SET NOT NULL$/u, ' ADD CONSTRAINT not_null NOT NULL');
  return `${named.replace(/ NOT NULL$/u, ' CHECK (VALUE IS NOT NULL)')} NOT VALID`;
}
/** With the children of the table: it is not valid there either. */
export const checkValidation = ({alter, name, definition}: Pick<Check, 'alter' | 'name' | 'definition'>) =>
  `${alter} ${isOfNulls(additionOf({name, definition})) ? setsNotNull : `VALIDATE CONSTRAINT ${name}`}`;

/** A check of a domain that was not valid for all values in the backup either. */
const isForNew = ({definition}: Check) => definition.endsWith(' NOT VALID');

/**
 * The checks that hold for all rows. Those that tables have inherited follow their parents, which are older: dropping
 * one drops it in children too, and adding it there again makes it inherited and own.
 */
export async function checksOf(
  connection: Connection,
  looking: LookingFunctions | undefined,
  tables: readonly {oid: number; name: TableName}[],
): Promise<readonly Check[]> {
  const rows = await connection.rows(
    `WITH ${members(tables)}
    SELECT m.root, 'pg_class'::regclass::oid, m.oid, 'pg_constraint'::regclass::oid, k.oid, n.nspname, c.relname,
      k.conname, pg_get_constraintdef(k.oid)
    FROM member m JOIN pg_constraint k ON k.conrelid = m.oid AND k.contype = 'c' AND k.conislocal AND k.convalidated
    JOIN pg_class c ON c.oid = m.oid JOIN pg_namespace n ON n.oid = c.relnamespace
    ORDER BY m.oid, k.conname`,
  );
  return rows.map(([root, tableClass, oid, classOid, check, schema, name, constraint, definition]) => {
    const own = new Set([objectKey(tableClass!, oid!)]);
    return {
      table: tables.find((table) => table.oid === Number(root))!.name,
      alter: `ALTER TABLE ${qualified(schema!, name!)}`,
      name: quoteIdent(constraint!),
      definition: definition!,
      isLooking: looking?.lookedAtBy(objectKey(classOid!, check!), own) !== undefined,
    };
  });
}

// A staging that continues another one finds the checks there.
const tableIn = (schema: string) => `${schema}._bkp_checks`;

export async function createChecks(connection: Connection, schema: string): Promise<void> {
  await connection.run(
    `CREATE TABLE ${tableIn(schema)} (number serial, name text, alter_sql text, check_name text, definition text)`,
  );
}

/** @param check under the names of the backup */
export async function recordCheck(connection: Connection, schema: string, check: Check): Promise<void> {
  await connection.rows(
    `INSERT INTO ${tableIn(schema)} (name, alter_sql, check_name, definition) VALUES ($1, $2, $3, $4)`,
    [check.table, check.alter, check.name, check.definition],
  );
}

/** Those of each table and of each domain, under the names of the backup. */
export async function recordedChecks(connection: Connection, schema: string): Promise<readonly (readonly Check[])[]> {
  const rows = await connection.rows(
    `SELECT name, alter_sql, check_name, definition FROM ${tableIn(schema)} ORDER BY number`,
  );
  const checks = rows.map(([table, alter, name, definition]) => ({
    ...{table: table!, alter: alter!, name: name!, definition: definition!},
    isLooking: false,
  }));
  return [...Map.groupBy(checks, (check) => (isOfDomain(check) ? check.alter : check.table)).values()];
}

export async function forgetChecks(connection: Connection, schema: string): Promise<void> {
  await connection.run(`DROP TABLE ${tableIn(schema)}`);
}

/** SQLSTATEs `check_violation`, `not_null_violation` and `duplicate_object`. */
export const isCheckFault = (error: unknown): error is BkpError =>
  error instanceof BkpError && ['23514', '23502'].includes(String(error.context.sqlState));
const isThere = (error: unknown) => sqlStateOf(error) === '42710';

/**
 * Adds the checks of one table or domain, in a transaction.
 * @param staged writes a statement with the names of the staging schemas
 * @returns `broken`: those that not all rows meet, which hold for new rows; `left`: those that cannot be tried yet
 */
export async function addChecks(
  connection: Connection,
  checks: readonly Check[],
  staged: (sql: string) => string,
): Promise<{broken: readonly BrokenCheck[]; left: readonly Check[]}> {
  // One pass over the rows for all of them, if nothing is wrong.
  const statements = [...Map.groupBy(checks, ({alter}) => alter)].flatMap(([alter, of]) => {
    const additions = of.map(additionOf);
    return (isOfDomain({alter}) ? additions : [additions.join(', ')]).map((addition) => `${alter} ${addition}`);
  });
  if (await runOrLeave(connection, staged(statements.join('; ')))) return {broken: [], left: []};
  const broken: BrokenCheck[] = [];
  const left: Check[] = [];
  for (const check of checks) {
    try {
      const isAdded = await addOne(connection, check, staged);
      if (!isAdded) left.push(check);
    } catch (error) {
      if (!isCheckFault(error)) throw error;
      broken.push({check, error});
    }
  }
  return {broken, left};
}

/** @throws BkpError of SQLSTATE 23514 if the check holds for new rows only */
async function addOne(connection: Connection, check: Check, staged: (sql: string) => string): Promise<boolean> {
  const add = staged(`${check.alter} ${additionOf(check)}`);
  await connection.run('SAVEPOINT one_check');
  try {
    await connection.run(`${add}; RELEASE SAVEPOINT one_check`);
    return true;
  } catch (error) {
    await connection.run('ROLLBACK TO SAVEPOINT one_check');
    if (isCheckFault(error)) {
      await connection.run(forNewRows(add));
      throw error;
    }
    // The staging that this one continues had added it.
    if (!isThere(error)) return runOrLeave(connection, add);
    if (isForNew(check)) return true;
  }
  await connection.run('SAVEPOINT one_check');
  try {
    await connection.run(`${staged(checkValidation(check))}; RELEASE SAVEPOINT one_check`);
    return true;
  } catch (error) {
    await connection.run('ROLLBACK TO SAVEPOINT one_check');
    throw error;
  }
}
