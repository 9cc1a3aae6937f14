import {BkpError} from '../../../errors/index.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords} from '../connection/errors.ts';
import {nameInSql, qualified, quoteIdent, unquoted} from '../connection/quote.ts';
import {isDomainCheck, type Moves, rewrite} from '../schema/rewrite.ts';
import type {LeftOut} from './left-out.ts';
import {requireValues} from './present-types.ts';
import type {SharedObject} from './stored.ts';

/** Of a statement that alters a domain. */
const domainIn = new RegExp(`^ALTER (DOMAIN ${nameInSql})`, 'u');
/** SQLSTATEs of objects that exist already. */
const exists = new Set(['42710', '42P06', '42P07', '42723', '42P16']);
/** SQLSTATEs of an extension that the server does not have. */
const notInstalled = new Set(['0A000', '58P01']);

/**
 * Creates what the tables need and the target lacks: schemas, extensions, types, functions. What exists stays as it
 * is, with its grants and comments.
 * @param optional tell what cannot be created, and go on
 * @param moves where tables are that the objects need
 * @param present what was there already, as comments and grants call it
 * @returns statements that drop what was created, in the order of creation
 */
export async function createShared(
  connection: Connection,
  objects: readonly SharedObject[],
  {
    leftOut,
    optional = false,
    moves = new Map(),
    present = new Set(),
  }: {leftOut: LeftOut; optional?: boolean; moves?: Moves; present?: Set<string>},
): Promise<readonly string[]> {
  const drops: string[] = [];
  // Before its owner or its grants are changed.
  const isPublicFresh = await isFresh(connection);
  for (const stored of objects) {
    const object = isMoved(stored) ? withMoved(stored, moves) : stored;
    const {type, name, schema, sql, value, owner, called = ''} = object;
    if (called === 'SCHEMA public' && isPublicFresh) {
      drops.push(...(await givePublic(connection, {owner, leftOut})));
    }
    if (sql === '') continue;
    if (type === 'ACL' || type === 'COMMENT') {
      if (!present.has(keyOf(schema, name)) || (type === 'ACL' && name === 'SCHEMA public' && isPublicFresh)) {
        await leftOut.try(connection, sql, {of: keyOf(schema, name).replace(/^[A-Z ]+ /u, '')});
      }
      continue;
    }
    if (isDomainCheck(object) && present.has(shown(domainIn.exec(sql)![1]!))) continue;
    if (await isThereAlready(connection, object)) {
      present.add(shown(`${type} ${name}`));
      continue;
    }
    await connection.run('SAVEPOINT shared');
    try {
      await connection.run(sql);
      if (value !== undefined) await setSequence(connection, value, schema);
      await connection.run('RELEASE SAVEPOINT shared');
    } catch (error) {
      await connection.run('ROLLBACK TO SAVEPOINT shared');
      const state = error instanceof BkpError ? error.context.sqlState : undefined;
      const isThere = exists.has(String(state));
      // A table that needs a cast that this role may not create fails with its own message.
      if ((optional || type === 'CAST') && error instanceof BkpError && (!isThere || /VIEW$/u.test(type))) {
        leftOut.tell(keyOf(schema, name), sql, error);
        continue;
      }
      if (type === 'EXTENSION' && notInstalled.has(String(state))) throw missingExtension(name, error);
      if (!isThere) throw error;
      // Grants of a domain are those of a type.
      const names = stored.called ?? '';
      for (const one of [names, names.replace('DOMAIN', 'TYPE')]) present.add(shown(one));
      if (type === 'TYPE' && !optional) await requireValues(connection, object);
      continue;
    }
    const drop = dropOf(object);
    if (drop !== undefined) drops.push(drop);
    const of = schema === '' ? name : `${schema}.${name}`;
    if (called !== '') await leftOut.giveOwner(connection, {called, owner, of});
  }
  return drops;
}

/** Longer lists belong into a program. */
const mostNamed = 5;

/**
 * What the server refuses because something in the target is not what the backup has under its name.
 * @param present what was there already
 */
export function withPresent(error: unknown, present: ReadonlySet<string>): unknown {
  const named = [...present].filter((name) => !/^(?:SCHEMA|EXTENSION) /u.test(name));
  if (!(error instanceof BkpError) || error.code !== 'SOURCE_REFUSED' || named.length === 0) return error;
  const more = named.length > mostNamed ? ` and ${named.length - mostNamed} more` : '';
  const list = `${named.slice(0, mostNamed).join(', ')}${more}`;
  return new BkpError('PRECONDITION', `what the target has does not fit the backup: ${serverWords(error)}`, {
    cause: `it has ${list} already, which stay as they are; ${String(error.cause)}`,
    next: 'restore into an empty database with --source, or rename in the target what differs from the backup',
    context: error.context,
  });
}

const isMoved = ({position}: SharedObject) => position !== undefined;

const withMoved = (object: SharedObject, moves: Moves): SharedObject => ({
  ...object,
  sql: rewrite(object.sql, moves),
  ...(object.called === undefined ? {} : {called: rewrite(object.called, moves)}),
});

/** Of the kinds of which a statement of pg_dump does not fail when they exist. */
async function isThereAlready(connection: Connection, {type, name}: SharedObject): Promise<boolean> {
  const isExtension = type === 'EXTENSION';
  if (!isExtension && !type.endsWith('LANGUAGE')) return false;
  const [catalog, column] = isExtension ? ['pg_extension', 'extname'] : ['pg_language', 'lanname'];
  return (await connection.value(`SELECT ${column} FROM ${catalog} WHERE ${column} = $1`, [name])) !== undefined;
}

/** What a grant is for, as that is called, without quotes. @param name `FUNCTION twice(v numeric)` */
function keyOf(schema: string, name: string): string {
  const [, kind, of] = /^([A-Z]+(?: [A-Z]+)*) (.*)$/su.exec(name) ?? ['', '', name];
  return shown(`${kind} ${schema === '' ? '' : `${schema}.`}${of}`).trim();
}

/** As pg_dump names it in a comment, without quotes. */
const shown = (called: string) => called.replaceAll('"', '').replaceAll(/[\r\n]/gu, ' ');

/** Every new database has the schema `public`: unless somebody has changed its grants, it gets those of the source. */
async function isFresh(connection: Connection): Promise<boolean> {
  const isInitial = await connection.value(
    `SELECT n.nspacl IS NOT DISTINCT FROM p.initprivs FROM pg_namespace n LEFT JOIN pg_init_privs p
      ON p.classoid = 'pg_namespace'::regclass AND p.objoid = n.oid WHERE n.nspname = 'public'`,
  );
  return isInitial === 't';
}

/**
 * Likewise its owner, unless something is in it. Every new database has it, so no statement of the backup creates it.
 * @returns statements that give it back
 */
async function givePublic(
  connection: Connection,
  {owner, leftOut}: {owner: string; leftOut: LeftOut},
): Promise<readonly string[]> {
  const before = await connection.value(
    `SELECT r.rolname FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
      WHERE n.nspname = 'public' AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid)`,
  );
  if (owner === '' || before === undefined || before === owner) return [];
  await leftOut.try(connection, ownedBy(owner), {of: 'public'});
  return [ownedBy(before)];
}

const ownedBy = (role: string) => `ALTER SCHEMA public OWNER TO ${quoteIdent(role)}`;

function dropOf({type, name, called = '', sql}: SharedObject): string | undefined {
  if (called !== '') return `DROP ${called}`;
  if (type === 'EXTENSION') return `DROP EXTENSION ${quoteIdent(name)}`;
  const cast = /^CREATE CAST (\(.*?\)) WITH/u.exec(sql)?.[1];
  return cast && `DROP CAST ${cast}`;
}

function missingExtension(name: string, cause: unknown): BkpError {
  return new BkpError('PRECONDITION', `the target server does not have the extension ${name}, which tables need`, {
    cause,
    next: `install its package on the server; then CREATE EXTENSION ${quoteIdent(name)} works there`,
  });
}

/**
 * Without the schemas that the restore leaves empty.
 * @param restored names of schemas in which the restore creates something
 */
export function neededShared(objects: readonly SharedObject[], restored: Iterable<string>): readonly SharedObject[] {
  const used = new Set([...restored, ...objects.map(({schema}) => schema)]);
  // An extension is in no schema, but its objects are.
  for (const {type, sql} of objects) {
    const into = type === 'EXTENSION' ? / WITH SCHEMA ((?:"(?:[^"]|"")*"|[^\s;])+)/u.exec(sql)?.[1] : undefined;
    if (into !== undefined) used.add(unquoted(into));
  }
  const isUsed = ({type, name}: SharedObject) => {
    const schema = type === 'SCHEMA' ? name : /^SCHEMA (.*)$/su.exec(name)?.[1];
    return schema === undefined || used.has(unquoted(schema));
  };
  return objects.filter(isUsed);
}

/** @param value as `sharedText` writes it @param schema in which the sequence is now */
export async function setSequence(connection: Connection, value: string, schema: string): Promise<void> {
  const [, name, last, isCalled] = JSON.parse(value) as [string, string, string, boolean];
  await connection.rows('SELECT setval($1::text::regclass, $2::bigint, $3::boolean)', [
    qualified(schema, name),
    last,
    String(isCalled),
  ]);
}
