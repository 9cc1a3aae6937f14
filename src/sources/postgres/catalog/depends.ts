import type {Connection} from '../connection/connection.ts';

/** An object of the database: the oids of its catalog and its own, `1259 16385`. */
export type ObjectKey = string;

export const objectKey = (classOid: number | string, oid: number | string): ObjectKey => `${classOid} ${oid}`;

/** Which object refers to which: https://www.postgresql.org/docs/18/catalog-pg-depend.html */
export type Depends = {
  /** What an object refers to. Without what every database has. */
  refers: ReadonlyMap<ObjectKey, readonly ObjectKey[]>;
  /** The object that it is a part of, and that creates it: an index of a constraint, the type of a table's rows. */
  wholeOf: ReadonlyMap<ObjectKey, ObjectKey>;
  /** The parts of an object, of the kinds that its statement may create: no triggers and no objects of extensions. */
  partsOf: ReadonlyMap<ObjectKey, readonly ObjectKey[]>;
};

/**
 * How directly an object belongs to what it refers to: a member of an extension (`e`), a part of its implementation
 * (`i`), something that goes with it (`a`). Anything else (`n`, `P`, `S`, `x`) refers only.
 */
const closeness = ['e', 'i', 'a'];

/** In an order that does not change: an object may go with several. */
export async function dependsOf(connection: Connection): Promise<Depends> {
  const refers = new Map<ObjectKey, ObjectKey[]>();
  const wholeOf = new Map<ObjectKey, ObjectKey>();
  const closest = new Map<ObjectKey, number>();
  // 16384 is the first oid of an object that initdb did not make. Foreign keys are never parts: pg_dump adds them to
  // finished tables, and partitions get them from their table.
  const rows = await connection.rows(`
    SELECT DISTINCT classid::oid, objid, refclassid::oid, refobjid, deptype FROM pg_depend
    WHERE objid >= 16384 AND refobjid >= 16384 AND (classid, objid) <> (refclassid, refobjid)
      AND NOT (classid = 'pg_constraint'::regclass AND objid IN (SELECT oid FROM pg_constraint WHERE contype = 'f'))
    ORDER BY 1, 2, 3, 4, 5`);
  for (const [classOid, oid, referredClass, referredOid, kind] of rows) {
    const [key, referred] = [objectKey(classOid!, oid!), objectKey(referredClass!, referredOid!)];
    append(refers, key, referred);
    const rank = closeness.indexOf(kind!);
    if (rank === -1 || rank >= (closest.get(key) ?? closeness.length)) continue;
    closest.set(key, rank);
    wholeOf.set(key, referred);
  }
  const partsOf = new Map<ObjectKey, ObjectKey[]>();
  const withParts = new Set(await kindsOfParts(connection));
  for (const [key, whole] of wholeOf) {
    if (!withParts.has(key.split(' ')[0]!) || closeness[closest.get(key)!] === 'e') continue;
    append(partsOf, whole, key);
  }
  return {refers, wholeOf, partsOf};
}

function append(map: Map<ObjectKey, ObjectKey[]>, key: ObjectKey, value: ObjectKey): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}

/**
 * Catalogs of what may be a part. Triggers are created by statements of their own, or belong to foreign keys of both
 * tables.
 */
async function kindsOfParts(connection: Connection): Promise<readonly string[]> {
  const catalogs = ['pg_attrdef', 'pg_constraint', 'pg_rewrite', 'pg_type', 'pg_class', 'pg_amop', 'pg_amproc'];
  const rows = await connection.rows(
    "SELECT to_regclass('pg_catalog.' || name)::oid FROM unnest(string_to_array($1, ',')) AS wanted (name)",
    [catalogs.join(',')],
  );
  return rows.map(([oid]) => oid!);
}

/** How people name objects: `table public.orders`. Partitions are called by their table. */
export async function namesOf(
  connection: Connection,
  keys: readonly ObjectKey[],
): Promise<ReadonlyMap<ObjectKey, {type: string; name: string}>> {
  const names = new Map<ObjectKey, {type: string; name: string}>();
  for (const key of new Set(keys)) {
    const [row] = await connection.rows(
      `SELECT type, identity FROM pg_identify_object($1::oid, coalesce(CASE $1::oid
        WHEN 'pg_class'::regclass THEN pg_partition_root($2::oid::regclass) END, $2::oid), 0)`,
      key.split(' '),
    );
    names.set(key, {type: row?.[0] ?? 'object', name: row?.[1] ?? key});
  }
  return names;
}
