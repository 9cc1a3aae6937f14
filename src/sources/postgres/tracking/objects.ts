import {columnList, type KeyColumn} from '../catalog/columns.ts';
import {quoteBody, quoteIdent, quoteText} from '../connection/quote.ts';

// What change tracking creates in the source. Each statement of a writer on a tracked table inserts the keys that it
// touched into the table's log, with the id of its transaction; src/sources/postgres/tracking/marks.ts reads them.

/** Part of `made`, so that tracking of another version is made again. */
export const trackingVersion = 3;

/**
 * Everything that all tracked tables share. The guard keeps others from emptying a log by mistake; it is asked once a
 * statement, because once a row it took three quarters of the time in which a log is trimmed.
 */
export const sharedObjects = `
CREATE SCHEMA _bkp;
CREATE TABLE _bkp.meta (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE _bkp.tracked (rel oid PRIMARY KEY, made text NOT NULL, seen text NOT NULL);
CREATE TABLE _bkp.mark (owner text, mark text, rel oid, snap pg_snapshot NOT NULL, witness text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (owner, mark, rel));
INSERT INTO _bkp.meta VALUES ('identity', gen_random_uuid()::text);
CREATE FUNCTION _bkp.guard() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  IF pg_catalog.current_setting('_bkp.trim', true) IS DISTINCT FROM 'on' THEN
    RAISE EXCEPTION '% belongs to bkp; DROP SCHEMA _bkp CASCADE removes change tracking', tg_table_name
      USING ERRCODE = '55006';
  END IF;
  IF tg_op = 'DELETE' THEN RETURN old; END IF;
  RETURN new;
END $$;
`;

/** A column of the key, and its column in the log. */
export type LoggedColumn = KeyColumn & {
  typeOid: number;
  /**
   * Of the log's column: the type below domains, without modifiers, so that the log refuses no value that the table
   * takes. A domain may be NOT NULL or get constraints, and a column of a partition may become wider.
   */
  logged: {type: string; oid: number};
};

export type TrackedTable = {
  oid: number;
  /** Qualified and quoted. */
  name: string;
  key: readonly LoggedColumn[];
  /** It has partitions, children or parents: statements on those fire no statement trigger of it. */
  inherits: boolean;
  isPartitioned: boolean;
};

/**
 * The server gives each partition the row triggers of its table under the same name, and refuses ATTACH PARTITION of a
 * table that has a trigger of that name. So that of a partitioned table has a name that no other table has.
 */
const rowTriggerOf = ({oid, isPartitioned}: TrackedTable) => (isPartitioned ? `"~bkp_r_${oid}"` : '"~bkp_r"');

export const logOf = (oid: number) => `_bkp.log_${oid}`;
export const logColumns = (key: readonly KeyColumn[]) => key.map((_, at) => `k${at}`).join(', ');

/**
 * Creates the log of one table. Where a publication is FOR ALL TABLES, the server refuses to delete rows of a table
 * that has no replica identity: the log could not be trimmed.
 */
export function logObject({oid, name, key}: TrackedTable): string {
  const log = logOf(oid);
  const parts = key.map(({name: part, logged}, at) => `${quoteIdent(part)}::${logged.type} AS k${at}`).join(', ');
  return `
CREATE TABLE ${log} AS SELECT ${parts} FROM ONLY ${name} WHERE false;
ALTER TABLE ${log} ADD COLUMN x xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id();
ALTER TABLE ${log} REPLICA IDENTITY FULL;
CREATE TRIGGER guard BEFORE DELETE OR UPDATE OR TRUNCATE ON ${log} FOR EACH STATEMENT
  EXECUTE FUNCTION _bkp.guard();`;
}

/**
 * Creates the functions and the triggers of one table; to be run under a lock that no writer holds.
 *
 * The functions run as their owner, with an empty search path: with a writer's own one, they would run code that the
 * writer chose. Keys are compared as images, because `=` of an extension's type is not found then. Statement triggers
 * cost a tenth of row triggers, but do not fire for replicated changes and for statements on a parent or partition:
 * row triggers see those.
 *
 * No statement of a writer may fail in them, whatever the table has become; see {@link fitsFunction}.
 * @param logOid of the log that {@link logObject} has made
 */
export function triggerObjects(table: TrackedTable, logOid: number): string {
  const {oid, name, key, inherits} = table;
  const log = logOf(oid);
  const rowTrigger = rowTriggerOf(table);
  const columns = logColumns(key);
  const of = (row: string) => columnList(key, `${row}.`);
  // The function of the operator *<>, whose condition pg_dump could not write for a single column.
  const differ = `pg_catalog.record_image_ne(row(${of('old')}), row(${of('new')}))`;
  const triggerFunction = (part: string, body: string) =>
    `CREATE FUNCTION ${log}_${part}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' ` +
    `AS ${quoteBody(`BEGIN ${body} RETURN NULL; END`)};`;
  // Of a log that is gone, nothing must be marked: the table begins again for want of it.
  const isThere = `pg_catalog.to_regclass('${log}') OPERATOR(pg_catalog.=) '${logOid}'::pg_catalog.regclass`;
  const mark = `INSERT INTO ${log} DEFAULT VALUES;`;
  const fits = `${log}_fits('${oid}'::pg_catalog.regclass, '${logOid}'::pg_catalog.regclass)`;
  const logging = (part: string, keys: string) =>
    triggerFunction(part, `IF ${fits} THEN ${keys} ELSIF ${isThere} THEN ${mark} END IF;`);
  const insert = (rows: string) => `INSERT INTO ${log} (${columns}) ${rows};`;
  const common = `
${fitsFunction(table)}
${logging(
  'row',
  `IF tg_op <> 'INSERT' THEN ${insert(`VALUES (${of('old')})`)} END IF;
  IF tg_op = 'INSERT' THEN ${insert(`VALUES (${of('new')})`)}
  ELSIF tg_op = 'UPDATE' THEN IF ${differ} THEN ${insert(`VALUES (${of('new')})`)} END IF; END IF;`,
)}
${triggerFunction('truncate', `IF ${isThere} THEN ${mark} END IF;`)}
CREATE TRIGGER "~bkp_t" AFTER TRUNCATE ON ${name} FOR EACH STATEMENT EXECUTE FUNCTION ${log}_truncate();
ALTER TABLE ${name} ENABLE ALWAYS TRIGGER "~bkp_t";
CREATE TRIGGER ${rowTrigger} AFTER INSERT OR UPDATE OR DELETE ON ${name} FOR EACH ROW EXECUTE FUNCTION ${log}_row();
`;
  if (inherits) return `${common}ALTER TABLE ${name} ENABLE ALWAYS TRIGGER ${rowTrigger};`;
  return `${common}ALTER TABLE ${name} ENABLE REPLICA TRIGGER ${rowTrigger};
${logging('new', insert(`SELECT ${of('n')} FROM bkp_n n`))}
${logging('old', insert(`SELECT ${of('o')} FROM bkp_o o`))}
CREATE TRIGGER "~bkp_i" AFTER INSERT ON ${name} REFERENCING NEW TABLE AS bkp_n
  FOR EACH STATEMENT EXECUTE FUNCTION ${log}_new();
CREATE TRIGGER "~bkp_u" AFTER UPDATE ON ${name} REFERENCING NEW TABLE AS bkp_n
  FOR EACH STATEMENT EXECUTE FUNCTION ${log}_new();
CREATE TRIGGER "~bkp_d" AFTER DELETE ON ${name} REFERENCING OLD TABLE AS bkp_o
  FOR EACH STATEMENT EXECUTE FUNCTION ${log}_old();
CREATE TRIGGER "~bkp_k" AFTER UPDATE ON ${name} FOR EACH ROW WHEN (${differ}) EXECUTE FUNCTION ${log}_row();`;
}

/**
 * Whether the table still has the key columns that its log is for, and the log their types: a migration may have
 * renamed or dropped one, or put another column in its place. If not, the log gets a row without a key, as by TRUNCATE,
 * and the table begins again with all its rows.
 *
 * It costs writers nothing: it is IMMUTABLE, so the server calls it when it plans the statement that asks, once in a
 * session. The plan depends on the table and the log, because they are constants of type regclass in it; so another
 * session's ALTER TABLE makes the server plan it again. The columns are looked up as the parser does it, and not in
 * pg_attribute, where a transaction with an old snapshot would find what has been there before. A handler in the
 * trigger itself would take a number of transactions for each statement of a writer.
 */
function fitsFunction({oid, key}: TrackedTable): string {
  const log = logOf(oid);
  const has = (column: string, type: number) =>
    `pg_catalog.pg_typeof(${column})::pg_catalog.oid OPERATOR(pg_catalog.=) ${type}::pg_catalog.oid`;
  const all = key.flatMap(({name, typeOid, logged}, at) => [
    has(`t.${quoteIdent(name)}`, typeOid),
    has(`l.k${at}`, logged.oid),
  ]);
  const query = `SELECT ${all.join(' AND ')} FROM (SELECT (NULL::${log}).*) l, (SELECT (NULL::`;
  const body = `DECLARE fits pg_catalog.bool;
BEGIN
EXECUTE ${quoteText(query)} OPERATOR(pg_catalog.||) rel::pg_catalog.text OPERATOR(pg_catalog.||) ').*) t'
  INTO fits;
RETURN fits;
EXCEPTION WHEN OTHERS THEN RETURN false; END`;
  return (
    `CREATE FUNCTION ${log}_fits(rel pg_catalog.regclass, log pg_catalog.regclass) RETURNS pg_catalog.bool ` +
    `LANGUAGE plpgsql IMMUTABLE SET search_path = '' AS ${quoteBody(body)};`
  );
}

/** Names of triggers that write to another table's log, as in a copy of the database; partitions follow their table. */
export const strayTriggersQuery = (oid: number) => `
SELECT t.tgname FROM pg_trigger t
WHERE t.tgrelid = ${oid} AND t.tgparentid = 0 AND NOT t.tgisinternal AND t.tgname ~ '^~bkp_[a-z](_[0-9]+)?$'`;

/**
 * Removes the functions, with them the triggers, of which bkp need not own the table, and the log. In the order in
 * which a writer locks the table and the log: the other one could make it the victim of a deadlock.
 */
export function dropTableObjects(oid: number): string {
  const functions = ['row()', 'truncate()', 'new()', 'old()', 'fits(regclass, regclass)'];
  const names = functions.map((part) => `${logOf(oid)}_${part}`).join(', ');
  return `DROP FUNCTION IF EXISTS ${names} CASCADE; DROP TABLE IF EXISTS ${logOf(oid)} CASCADE;`;
}

// Catalogs are searched by their indexes, whatever the server knows of them (OFFSET 0 keeps the order of a join): with
// 2,000 tables, each of these queries took 10 to 20 ms for each table.

/** An array of oids. */
const withPartitions = (oid: number) => `(ARRAY(SELECT relid::oid FROM pg_partition_tree(${oid})) || ${oid}::oid)`;

/**
 * What tracking of a table looks like in the catalog: names, states and definitions of the triggers, sources of the
 * functions, columns of the log. It is the same as long as nothing of it was changed.
 */
export const seenQuery = (oid: number) => `
SELECT md5(concat_ws('|',
  (SELECT string_agg(concat_ws(',', t.tgname, t.tgenabled, pg_get_triggerdef(t.oid)), ';'
      ORDER BY t.tgrelid = ${oid}, t.tgname)
    FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgparentid = 0
      AND t.tgrelid IN (${oid}, to_regclass('${logOf(oid)}'))
      AND (t.tgrelid = to_regclass('${logOf(oid)}') OR t.tgname LIKE '~bkp%')),
  (SELECT string_agg(concat_ws(',', p.proname, p.prosrc, p.prosecdef, p.proconfig::text), ';' ORDER BY p.proname)
    FROM pg_proc p WHERE p.pronamespace = to_regnamespace('_bkp')
      AND (p.proname = 'guard' OR (p.proname >= 'log_${oid}_' AND p.proname < 'log_${oid}\`'))),
  (SELECT string_agg(concat_ws(',', a.attname, a.atttypid, a.atttypmod, a.attcollation, a.atthasdef), ';'
      ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = to_regclass('${logOf(oid)}') AND a.attnum > 0)))`;

/**
 * Changes whenever something happened that could have kept a change out of the log: another cluster or database,
 * triggers that were disabled, dropped or created again, partitions that were truncated, attached or detached, columns
 * that were rewritten. The `xmin` of a catalog row is the transaction that wrote it. VACUUM FULL, ANALYZE, freezing and
 * CREATE INDEX change nothing of it.
 */
export const witnessQuery = (oid: number) => `
SELECT md5(concat_ws('|',
  (SELECT system_identifier FROM pg_control_system()),
  (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()), ${oid},
  (SELECT string_agg(concat_ws(',', t.tgrelid, t.oid, t.xmin, t.tgenabled, p.oid, p.xmin), ';'
      ORDER BY t.tgrelid, t.oid)
    FROM pg_trigger t CROSS JOIN LATERAL (
      SELECT f.oid, f.xmin, f.proname, f.pronamespace FROM pg_proc f WHERE f.oid = t.tgfoid OFFSET 0) p
    WHERE t.tgrelid = ANY (${withPartitions(oid)} || to_regclass('${logOf(oid)}')::oid)
      AND p.pronamespace = to_regnamespace('_bkp')
      AND (t.tgrelid IN (${oid}, to_regclass('${logOf(oid)}')) OR p.proname ~ '^log_${oid}_')),
  (SELECT string_agg(concat_ws(',', relid::oid, pg_relation_filenode(relid)), ';' ORDER BY relid::oid)
    FROM pg_partition_tree(${oid}) WHERE relid <> ${oid}),
  (SELECT string_agg(concat_ws(',', attrelid, attnum, xmin), ';' ORDER BY attrelid, attnum) FROM pg_attribute
    WHERE attnum > 0 AND attrelid = ANY (${withPartitions(oid)}))))`;
