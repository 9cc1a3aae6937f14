import type {BkpError} from '../../../errors/index.ts';
import {typesIn} from '../catalog/text-state.ts';
import type {Connection} from '../connection/connection.ts';
import {qualified, quoteIdent, quoteText} from '../connection/quote.ts';
import {additionOf, type Check, dropOf, forNewRows, isCheckFault, kindOf, setsNotNull} from './checks.ts';
import type {LeftOut} from './left-out.ts';

// The server adds a valid constraint to a domain only while no table has a column with the domain within an array, a
// range or a row. So such a domain keeps its constraints from the start, and tables with its values get their rows when
// those of all layers are there: rows of an older backup need not meet it, as somebody changed or deleted them since.
// A constraint that the rows of the backup break themselves is dropped then, and added again for new values.

const oidsOf = 'SELECT name::regtype FROM pg_catalog.json_array_elements_text($1::pg_catalog.json) AS given (name)';

/**
 * The types that have such a domain in them, and these domains themselves.
 * @param domains those that were created, qualified, as statements name them
 * @param tables oids
 */
export async function typesThatHold(
  connection: Connection,
  {domains, tables}: {domains: readonly string[]; tables: readonly number[]},
): Promise<ReadonlySet<string>> {
  if (domains.length === 0 || tables.length === 0) return new Set();
  const rows = await connection.rows(
    `WITH RECURSIVE used (oid, is_within) AS (
      SELECT atttypid, false FROM pg_attribute
      WHERE attrelid IN (
          SELECT value::oid FROM pg_catalog.json_array_elements_text($2::pg_catalog.json) AS given (value))
        AND attnum > 0 AND NOT attisdropped
      UNION
      SELECT part.oid, used.is_within OR part.oid <> t.typbasetype
      FROM used JOIN pg_type t USING (oid) CROSS JOIN LATERAL ${typesIn('t')} part (oid) WHERE part.oid <> 0),
    held (oid) AS (
      SELECT oid FROM used JOIN pg_type t USING (oid) WHERE is_within AND oid IN (${oidsOf}) AND (t.typnotnull
        OR EXISTS (SELECT FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c' AND c.convalidated))),
    holding (oid) AS (
      SELECT oid FROM held
      UNION
      SELECT t.oid FROM holding CROSS JOIN used JOIN pg_type t ON t.oid = used.oid
        WHERE holding.oid IN (SELECT part.oid FROM ${typesIn('t')} part (oid)))
    SELECT DISTINCT oid FROM holding`,
    [JSON.stringify(domains), JSON.stringify(tables)],
  );
  return new Set(rows.map(([oid]) => oid!));
}

/**
 * Until version 16, a session that knows a domain notices only by a change of a check that the NOT NULL of a domain
 * below it is gone.
 */
const noticed = (alter: string) => `${alter} ADD CONSTRAINT _bkp CHECK (true) NOT VALID; ${alter} DROP CONSTRAINT _bkp`;

/** A constraint of a domain that values of the backup break. */
type Broken = {check: Check; called: string; commenting: string | undefined; error: BkpError};

/** The constraints of domains that a restore created: they give way to the rows of the backup. */
export class HeldDomains {
  readonly #connection: Connection;
  readonly #domains: readonly string[];
  readonly #broken: Broken[] = [];

  /** @param domains that the restore created, qualified, as statements name them */
  constructor(connection: Connection, domains: readonly string[]) {
    this.#connection = connection;
    this.#domains = domains;
  }

  /** Drops the constraint that refused a value. @returns whether there is one, so that the value is accepted now */
  async giveWay(error: unknown): Promise<boolean> {
    if (!isCheckFault(error) || this.#domains.length === 0) return false;
    const {domain, constraint, sqlState} = error.context;
    if (domain === undefined) return false;
    // An error names the domain of the value, and the constraint may be one of a domain below it.
    const isNamed = this.#connection.facts.version >= 170_000;
    const rows = await this.#connection.rows(
      `WITH RECURSIVE below (oid) AS (
        SELECT $2::text::regtype::oid UNION ALL
        SELECT t.typbasetype FROM below JOIN pg_type t USING (oid) WHERE t.typtype = 'd')
      SELECT n.nspname, t.typname, c.conname, pg_get_constraintdef(c.oid), obj_description(c.oid, 'pg_constraint')
      FROM below JOIN pg_type t USING (oid) JOIN pg_namespace n ON n.oid = t.typnamespace
      LEFT JOIN pg_constraint c ON c.contypid = t.oid
      WHERE t.oid IN (${oidsOf}) AND CASE WHEN $3 = '23514' THEN c.contype = 'c' AND c.conname = $4
        ELSE t.typnotnull AND (${isNamed ? "c.contype = 'n'" : 'true'}) END`,
      [JSON.stringify(this.#domains), String(domain), String(sqlState), constraint ?? ''],
    );
    const isSet = sqlState === '23502' && !isNamed;
    const found = isSet ? rows.slice(0, 1) : rows;
    for (const [schema, type, constraintName, written, comment] of found) {
      const called = qualified(schema!, type!);
      const name = quoteIdent(constraintName ?? '');
      const definition = isSet ? setsNotNull : written!;
      const check = {table: '', alter: `ALTER DOMAIN ${called}`, name, definition, isLooking: false};
      await this.#connection.run(dropOf(check));
      if (isSet) await this.#connection.run(noticed(check.alter));
      const of = `CONSTRAINT ${name} ON DOMAIN ${called}`;
      const commenting = comment && !isSet ? `COMMENT ON ${of} IS ${quoteText(comment)}` : undefined;
      this.#broken.push({check, called, commenting, error});
    }
    return found.length > 0;
  }

  /** Does work that is rolled back if it fails; then what gave way in it is there again. */
  async keepOnFailure(work: () => Promise<void>): Promise<void> {
    const before = this.#broken.length;
    try {
      await work();
    } catch (error) {
      this.#broken.splice(before);
      throw error;
    }
  }

  /** Adds what gave way, for new values. */
  async hold(leftOut: LeftOut): Promise<void> {
    for (const {check, called, commenting, error} of this.#broken) {
      await this.#connection.run(forNewRows(`${check.alter} ${additionOf(check)}`));
      if (commenting !== undefined) await this.#connection.run(commenting);
      leftOut.unchecked(`the domain ${called}`, undefined, {error, what: kindOf(additionOf(check))});
    }
  }
}
