import {BkpError} from '../../../errors/index.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords} from '../connection/errors.ts';
import {nameInSql, qualified, quoteIdent, unquoted} from '../connection/quote.ts';
import {setSortMemory} from './build.ts';
import {forNewRows, isCheckFault, isOfDomain, isOfNulls, kindOf} from './checks.ts';
import {isAboutNames, isOfStatement, onSomePath} from './later.ts';
import type {LeftOut, MissingContent} from './left-out.ts';
import {isJoin} from './living-parents.ts';
import {pairOf, type StoredTable} from './stored.ts';

/** Builds what looks at other tables, which have their names and rows now. */
export async function buildLater(
  connection: Connection,
  steps: readonly {target: StoredTable; sql: string}[],
  {
    searchPath,
    leftOut,
    missing,
  }: {searchPath: string | undefined; leftOut: LeftOut; missing: MissingContent | undefined},
): Promise<void> {
  for (const {target, sql} of steps) {
    await setSortMemory(connection, qualified(target.schema, target.table));
    await onSomePath(connection, searchPath, () => connection.run(sql)).catch(async (error: unknown) => {
      if (!isOfStatement(error)) throw error;
      // A partition's index has nothing to join if the one of its table was left out.
      if (isIndex(sql) || isAttachment(sql) || isJoin(sql)) {
        const step = isIndex(sql) && isAboutNames(error) ? `${stepOfNames(connection)}; ` : '';
        missing?.({name: partOf(sql, target), why: `${serverWords(error)}; ${step}${oneLine(sql)} tries again`});
        return;
      }
      if (isCheckFault(error)) {
        await onSomePath(connection, searchPath, () => connection.run(forNewRows(sql)));
        const of = /^ALTER DOMAIN (.*?) (?:ADD CONSTRAINT|SET NOT NULL)/su.exec(sql)?.[1];
        const name = of === undefined ? target.name : `the domain ${of}`;
        leftOut.unchecked(name, `${validationOf(sql)};`, {error, what: kindOf(sql)});
        return;
      }
      const what = creating.exec(sql)?.[2];
      throw new BkpError(
        'PRECONDITION',
        `${target.name} cannot have its ${what === undefined ? 'indexes' : unquoted(what)}: ${serverWords(error)}`,
        {
          cause:
            'it may call a function that looks at other objects, under the names of the backup; nothing was restored',
          next: 'restore what the function looks at too, or before: RESTORE … TABLE a, TABLE b',
          context: {table: target.name},
        },
      );
    });
  }
}

/**
 * Since version 17, functions of an index have an empty search path while it is built, whatever the session has: the
 * index may have been created without rows, or by an older server.
 */
const stepOfNames = ({facts}: Connection) =>
  facts.version < 170_000
    ? 'its function looks at what is not there'
    : 'the server builds indexes with an empty search_path, so that its function may need one of its own ' +
      '(ALTER FUNCTION … SET search_path = …)';

/** Rows that are there may break it: its functions, or the collation of its columns, changed since they came. */
const isIndex = (sql: string) => indexing.test(sql);

const isAttachment = (sql: string) => sql.startsWith('ALTER INDEX ');

/** What the table lacks without the statement. */
function partOf(sql: string, target: StoredTable): string {
  if (isJoin(sql)) return `the inheritance of ${target.name}`;
  if (isAttachment(sql)) return `the place of an index of a partition of ${target.name}`;
  const name = unquoted(creating.exec(sql)?.[2] ?? '');
  return `the ${sql.startsWith('CREATE ') ? 'index' : 'constraint'} ${name} of ${target.name}`;
}

const oneLine = (sql: string) => sql.replaceAll(/\s+/gu, ' ').replace(/;? ?$/u, ';');

export const isComment = (sql: string) => sql.startsWith('COMMENT ');
export const isAnalysis = (sql: string) => sql.startsWith('ANALYZE ');

/** @param sql adds a constraint */
function validationOf(sql: string): string {
  if (isOfDomain({alter: sql}) && isOfNulls(sql)) return sql.replace(/ ADD CONSTRAINT .*$/su, ' SET NOT NULL');
  const [, start = '', name = ''] = creating.exec(sql) ?? [];
  return `${start.replace(/ADD CONSTRAINT $/u, 'VALIDATE CONSTRAINT ')}${name}`;
}

const changing = String.raw`ALTER (?:TABLE (?:ONLY )?|DOMAIN )${nameInSql}\s+ADD CONSTRAINT `;
const indexing = new RegExp(`^(?:CREATE (?:UNIQUE )?INDEX |${changing}${nameInSql} (?:UNIQUE|EXCLUDE)\\b)`, 'u');
const creating = new RegExp(`^(CREATE (?:UNIQUE )?INDEX |${changing})(${nameInSql})`, 'u');

/** A statement that creates an index or a constraint, which has another name if its table gets one. */
export function withNewName(sql: string, table: StoredTable, target: StoredTable): string {
  if (isOfDomain({alter: sql})) return sql;
  return sql.replace(creating, (whole, start: string, name: string) => {
    const at = table.relations.findIndex((relation) => pairOf(relation)[1] === unquoted(name));
    return at === -1 ? whole : `${start}${quoteIdent(pairOf(target.relations[at]!)[1])}`;
  });
}
