/** Tables that every schema of change tracking has. */
const trackingTables = ['mark', 'meta', 'tracked'];

/** Whether a row `n` of pg_namespace is the schema of change tracking, and not one of the user's with its name. */
export const isTrackingSchema = `(n.nspname = '_bkp' AND (SELECT count(*) FROM pg_class own
  WHERE own.relnamespace = n.oid AND own.relkind = 'r'
    AND own.relname IN (${trackingTables.map((name) => `'${name}'`).join(', ')})) = ${trackingTables.length})`;

/** Of the schemas in which a restore loads tables, with a hash and a number. As both the server and pg_dump read it. */
export const stagingForm = '_bkp_stage_[0-9a-f]{12}_[0-9]+';

/** Whether a row `n` of pg_namespace is neither the server's nor bkp's, by its form and not by its name alone. */
export const isUserSchema = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^${stagingForm}$' AND NOT ${isTrackingSchema}`;

/** The oids of the schemas of users. */
export const userSchemas = `(SELECT n.oid FROM pg_namespace n WHERE ${isUserSchema})`;
