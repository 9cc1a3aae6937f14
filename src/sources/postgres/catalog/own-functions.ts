/**
 * For WHERE: whether a row of pg_depend leads to what the user made and no extension has: a function, an operator, a
 * class of operators, a configuration of text search or a domain, which may compute something else some day. Below this
 * number is what the server came with.
 */
export const isOwn = (depend: string) => `${depend}.refobjid >= 16384
  AND (${depend}.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass,
      'pg_ts_config'::regclass, 'pg_ts_dict'::regclass)
    OR ${depend}.refclassid = 'pg_type'::regclass
      AND EXISTS (SELECT FROM pg_type y WHERE y.oid = ${depend}.refobjid AND y.typtype = 'd'))
  AND NOT EXISTS (SELECT FROM pg_depend e
    WHERE e.classid = ${depend}.refclassid AND e.objid = ${depend}.refobjid AND e.deptype = 'e')`;

/**
 * For WHERE: whether a column, a row of pg_attribute, is a stored generated one that calls one of these, in its table
 * or in a partition of that, which may compute it otherwise.
 */
export const isComputedByOwn = (column: string) => `${column}.attgenerated = 's' AND EXISTS (
  SELECT FROM pg_attribute own JOIN pg_attrdef f ON f.adrelid = own.attrelid AND f.adnum = own.attnum
  JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
  WHERE own.attname = ${column}.attname AND own.attgenerated = 's' AND ${isOwn('d')}
    AND (own.attrelid = ${column}.attrelid
      OR own.attrelid IN (SELECT relid FROM pg_partition_tree(${column}.attrelid))))`;
