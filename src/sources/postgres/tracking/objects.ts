import {columnList, type KeyColumn} from '../catalog/columns.ts';
import {quoteIdent} from '../connection/quote.ts';

// What change tracking creates in the source. Each statement of a writer on a tracked table inserts the keys that it
// touched into the table's log, with the id of its transaction; src/sources/postgres/tracking/marks.ts reads them.

/** Part of `made`, so that tracking of another version is made again. */
export const trackingVersion = 2;

/** Everything that all tracked tables share. The guard keeps others from emptying a log by mistake. */
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

export type TrackedTable = {
  oid: number;
  /** Qualified and quoted. */
  name: string;
  key: readonly KeyColumn[];
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
 * Creates the log, the functions and the triggers of one table; to be run under a lock that no writer holds.
 *
 * The functions run as their owner, with an empty search path: with a writer's own one, they would run code that the
 * writer chose. Keys are compared as images, because `=` of an extension's type is not found then. Statement triggers
 * cost a tenth of row triggers, but do not fire for replicated changes and for statements on a parent or partition:
 * row triggers see those.
 */
export function tableObjects(table: TrackedTable): string {
  const {oid, name, key, inherits} = table;
  const log = logOf(oid);
  const rowTrigger = rowTriggerOf(table);
  const columns = logColumns(key);
  const of = (row: string) => columnList(key, `${row}.`);
  // The function of the operator *<>, whose condition pg_dump could not write for a single column.
  const differ = `pg_catalog.record_image_ne(row(${of('old')}), row(${of('new')}))`;
  const method = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''";
  const common = `
CREATE TABLE ${log} AS SELECT ${key.map(({name: part}, at) => `${quoteIdent(part)} AS k${at}`).join(', ')}
  FROM ONLY ${name} WHERE false;
ALTER TABLE ${log} ADD COLUMN x xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id();
CREATE TRIGGER guard BEFORE DELETE OR UPDATE ON ${log} FOR EACH ROW EXECUTE FUNCTION _bkp.guard();
CREATE TRIGGER guard_t BEFORE TRUNCATE ON ${log} FOR EACH STATEMENT EXECUTE FUNCTION _bkp.guard();
CREATE FUNCTION ${log}_row() RETURNS trigger ${method} AS $$
BEGIN
  IF tg_op <> 'INSERT' THEN INSERT INTO ${log} (${columns}) VALUES (${of('old')}); END IF;
  IF tg_op = 'INSERT' THEN INSERT INTO ${log} (${columns}) VALUES (${of('new')});
  ELSIF tg_op = 'UPDATE' THEN
    IF ${differ} THEN INSERT INTO ${log} (${columns}) VALUES (${of('new')}); END IF;
  END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION ${log}_truncate() RETURNS trigger ${method} AS $$
BEGIN INSERT INTO ${log} (${columns}) VALUES (${key.map(() => 'NULL').join(', ')}); RETURN NULL; END $$;
CREATE TRIGGER "~bkp_t" AFTER TRUNCATE ON ${name} FOR EACH STATEMENT EXECUTE FUNCTION ${log}_truncate();
ALTER TABLE ${name} ENABLE ALWAYS TRIGGER "~bkp_t";
CREATE TRIGGER ${rowTrigger} AFTER INSERT OR UPDATE OR DELETE ON ${name} FOR EACH ROW EXECUTE FUNCTION ${log}_row();
`;
  if (inherits) return `${common}ALTER TABLE ${name} ENABLE ALWAYS TRIGGER ${rowTrigger};`;
  return `${common}ALTER TABLE ${name} ENABLE REPLICA TRIGGER ${rowTrigger};
CREATE FUNCTION ${log}_new() RETURNS trigger ${method} AS $$
BEGIN INSERT INTO ${log} (${columns}) SELECT ${of('n')} FROM bkp_n n; RETURN NULL; END $$;
CREATE FUNCTION ${log}_old() RETURNS trigger ${method} AS $$
BEGIN INSERT INTO ${log} (${columns}) SELECT ${of('o')} FROM bkp_o o; RETURN NULL; END $$;
CREATE TRIGGER "~bkp_i" AFTER INSERT ON ${name} REFERENCING NEW TABLE AS bkp_n
  FOR EACH STATEMENT EXECUTE FUNCTION ${log}_new();
CREATE TRIGGER "~bkp_u" AFTER UPDATE ON ${name} REFERENCING NEW TABLE AS bkp_n
  FOR EACH STATEMENT EXECUTE FUNCTION ${log}_new();
CREATE TRIGGER "~bkp_d" AFTER DELETE ON ${name} REFERENCING OLD TABLE AS bkp_o
  FOR EACH STATEMENT EXECUTE FUNCTION ${log}_old();
CREATE TRIGGER "~bkp_k" AFTER UPDATE ON ${name} FOR EACH ROW WHEN (${differ}) EXECUTE FUNCTION ${log}_row();`;
}

/** Names of triggers that write to another table's log, as in a copy of the database; partitions follow their table. */
export const strayTriggersQuery = (oid: number) => `
SELECT t.tgname FROM pg_trigger t
WHERE t.tgrelid = ${oid} AND t.tgparentid = 0 AND NOT t.tgisinternal AND t.tgname ~ '^~bkp_[a-z](_[0-9]+)?$'`;

/** Removes the log, and with its functions the triggers, of which bkp need not own the table. */
export function dropTableObjects(oid: number): string {
  const functions = ['row', 'truncate', 'new', 'old'].map((part) => `${logOf(oid)}_${part}()`).join(', ');
  return `DROP TABLE IF EXISTS ${logOf(oid)} CASCADE; DROP FUNCTION IF EXISTS ${functions} CASCADE;`;
}

/**
 * What tracking of a table looks like in the catalog: names, states and definitions of the triggers, sources of the
 * functions, columns of the log. It is the same as long as nothing of it was changed.
 */
export const seenQuery = (oid: number) => `
SELECT md5(concat_ws('|',
  (SELECT string_agg(concat_ws(',', t.tgname, t.tgenabled, pg_get_triggerdef(t.oid)), ';'
      ORDER BY t.tgrelid = ${oid}, t.tgname)
    FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgparentid = 0
      AND (t.tgrelid = to_regclass('${logOf(oid)}') OR (t.tgrelid = ${oid} AND t.tgname LIKE '~bkp%'))),
  (SELECT string_agg(concat_ws(',', p.proname, p.prosrc, p.prosecdef, p.proconfig::text), ';' ORDER BY p.proname)
    FROM pg_proc p WHERE p.pronamespace = to_regnamespace('_bkp') AND p.proname ~ '^(guard|log_${oid}_.*)$'),
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
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE p.pronamespace = to_regnamespace('_bkp') AND (t.tgrelid = ${oid} OR t.tgrelid = to_regclass('${logOf(oid)}')
      OR (t.tgrelid IN (SELECT relid FROM pg_partition_tree(${oid})) AND p.proname ~ '^log_${oid}_'))),
  (SELECT string_agg(concat_ws(',', relid::oid, pg_relation_filenode(relid)), ';' ORDER BY relid::oid)
    FROM pg_partition_tree(${oid}) WHERE relid <> ${oid}),
  (SELECT string_agg(concat_ws(',', attrelid, attnum, xmin), ';' ORDER BY attrelid, attnum) FROM pg_attribute
    WHERE attnum > 0 AND (attrelid = ${oid} OR attrelid IN (SELECT relid FROM pg_partition_tree(${oid}))))))`;
