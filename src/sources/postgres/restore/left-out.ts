import {BkpError} from '../../../errors/index.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords} from '../connection/errors.ts';
import {quoteIdent, unquoted} from '../connection/quote.ts';
import {tokensOf} from '../schema/tokens.ts';

/** SQLSTATE of a role that does not exist. */
const undefinedObject = '42704';
/** Longer lists belong into a program. */
const mostNamed = 5;

/** Receives what the result lacks although the backup has it. */
export type MissingContent = (part: {name: string; why: string}) => void;

/** Runs what a restore can do without, and tells what failed because the target lacks something. */
export class LeftOut {
  readonly #notice: (text: string) => void;
  /** What is not granted, by the role that does not exist. */
  readonly #grants = new Map<string, Set<string>>();
  /** What belongs to the role that restores, by the reason. */
  readonly #owners = new Map<string, Set<string>>();

  constructor(notice: ((text: string) => void) | undefined) {
    this.#notice = notice ?? (() => {});
  }

  /**
   * @param sql as the backup has it
   * @param options.run the same under the names of the staging schemas
   * @returns whether nothing failed
   */
  async try(connection: Connection, sql: string, {run = sql, of}: {run?: string; of: string}): Promise<boolean> {
    let isDone = true;
    const shown = isGrant(sql) ? statementsIn(sql) : [sql];
    const parts = isGrant(run) ? statementsIn(run) : [run];
    for (const [at, part] of parts.entries()) {
      await connection.run('SAVEPOINT one');
      try {
        await connection.run(`${part}; RELEASE SAVEPOINT one`);
      } catch (error) {
        if (!(error instanceof BkpError)) throw error;
        await connection.run('ROLLBACK TO SAVEPOINT one');
        isDone = false;
        const role = error.context.sqlState === undefinedObject ? roleIn(shown[at]!) : undefined;
        if (role !== undefined) add(this.#grants, role, of);
        else this.tell(of, shown[at]!, error);
      }
    }
    return isDone;
  }

  /** Makes a role of the source the owner, if that is possible. @param called `TABLE app.orders` */
  async giveOwner(connection: Connection, {called, owner, of}: {called: string; owner: string; of: string}) {
    const can = await connection.value(
      "SELECT rolname = current_user OR pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = $1",
      [owner],
    );
    // The owner may lack CREATE on the schema, without which it cannot become the owner.
    if (can === 't') await this.try(connection, `ALTER ${called} OWNER TO ${quoteIdent(owner)}`, {of});
    else if (owner !== '')
      add(this.#owners, `${owner} ${can === undefined ? 'does not exist' : 'cannot be given it'}`, of);
  }

  tell(of: string, sql: string, error: BkpError): void {
    const statement = sql.replaceAll(/\s+/gu, ' ').slice(0, 120);
    const why = serverWords(error);
    this.#notice(`left out of ${of}: ${statement}, because ${why}`);
  }

  /**
   * A foreign key or a check holds for new rows only.
   * @param sql compares the others; undefined: the server cannot do that
   */
  unchecked(
    of: string,
    sql: string | undefined,
    {error, what = 'foreign key'}: {error: BkpError; what?: string},
  ): void {
    const why = serverWords(error);
    const step = sql === undefined ? 'it holds for new values' : `${sql} tries again`;
    this.#notice(`a ${what} of ${of} is not valid for all rows: ${why}; ${step}`);
  }

  /** Roles are told once, not once for each object. */
  end(): void {
    for (const [why, objects] of this.#owners) {
      this.#notice(`the role that restored it owns ${listed(objects)}: ${why}`);
    }
    for (const [role, objects] of this.#grants) {
      this.#notice(`the role ${role} does not exist: what it may do with ${listed(objects)} is left out`);
    }
    this.#owners.clear();
    this.#grants.clear();
  }
}

function add(map: Map<string, Set<string>>, key: string, value: string): void {
  map.set(key, (map.get(key) ?? new Set()).add(value));
}

function listed(objects: ReadonlySet<string>): string {
  const named = [...objects];
  const more = named.length > mostNamed ? ` and ${named.length - mostNamed} more` : '';
  return `${named.slice(0, mostNamed).join(', ')}${more}`;
}

export const isGrant = (sql: string) => /^(?:SET SESSION AUTHORIZATION|GRANT|REVOKE) /u.test(sql);

/** A grant to one role that does not exist must not take the others with it. */
function statementsIn(sql: string): readonly string[] {
  const statements = [''];
  for (const {kind, text} of tokensOf(sql)) {
    if (kind === 'other' && text === ';') statements.push('');
    else statements[statements.length - 1] += text;
  }
  return statements.map((statement) => statement.trim()).filter((statement) => statement !== '');
}

function roleIn(sql: string): string | undefined {
  if (!/^(?:GRANT|REVOKE|ALTER|CREATE POLICY) /u.test(sql)) return undefined;
  const found = / (?:TO|FROM) ("(?:[^"]|"")*"|[^\s",;]+)(?: WITH GRANT OPTION)?;?$/u.exec(sql)?.[1];
  return found === undefined ? undefined : unquoted(found);
}
