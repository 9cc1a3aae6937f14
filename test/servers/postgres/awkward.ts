/** Tables with what a restore of a schema can get wrong, and values that a conversion would change. */
export const awkwardSchema = String.raw`
  CREATE SCHEMA "We ird";
  CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s');
  CREATE DOMAIN positive AS int CHECK (value > 0);
  CREATE TYPE pair AS (a int, b text);
  CREATE SEQUENCE free START 7;
  CREATE FUNCTION plus(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + 1';
  CREATE TABLE "We ird"."T ä""x" ("Ä k" text COLLATE "C", b int, "select" numeric(10,3), PRIMARY KEY ("Ä k", b));
  CREATE TABLE a (
    id bigserial PRIMARY KEY, m mood DEFAULT 'it''s', p positive, j jsonb, x json, arr int[][], pr pair, ts timestamptz,
    iv interval, by bytea, r int4range, f float8, n numeric, tx tsvector,
    g int GENERATED ALWAYS AS (plus(1) + p) STORED,
    fr int DEFAULT nextval('free'), i inet, bits varbit, mon money, t time with time zone, u uuid, c char(5), d date);
  CREATE INDEX a_expression ON a (lower(n::text)) WHERE p > 3;
  CREATE INDEX ON a USING gin (j);
  ALTER TABLE a ADD CONSTRAINT limited CHECK (p < 1000000), ADD EXCLUDE USING gist (r WITH &&);
  CREATE TABLE child (id int PRIMARY KEY, a bigint REFERENCES a ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    self int REFERENCES child);
  CREATE TABLE part (id int, k text, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
  CREATE TABLE part_x PARTITION OF part FOR VALUES IN ('x');
  CREATE TABLE part_other PARTITION OF part DEFAULT;
  CREATE TABLE parent (id int PRIMARY KEY, z text);
  CREATE TABLE heir (extra int) INHERITS (parent);
  CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
  CREATE TABLE generated (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "user" text);
  CREATE TABLE "order" (id int PRIMARY KEY);
  CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $f$BEGIN new."user" := 'filled'; RETURN new; END$f$;
  CREATE TRIGGER fill BEFORE INSERT ON generated FOR EACH ROW EXECUTE FUNCTION fill();
  ALTER TABLE generated DISABLE TRIGGER fill;
  CREATE RULE keep AS ON DELETE TO unlogged DO INSTEAD NOTHING;
  ALTER TABLE child ENABLE ROW LEVEL SECURITY;
  CREATE POLICY seen ON child FOR SELECT USING (id > 0);
  COMMENT ON TABLE a IS 'it''s "a"';
  COMMENT ON COLUMN "We ird"."T ä""x"."Ä k" IS E'a line\n-- TOC entry 1 (class 1 OID 2)';
  COMMENT ON INDEX a_expression IS 'an index';
  CREATE STATISTICS together ON p, f FROM a;
  GRANT SELECT ON a TO public;
  INSERT INTO a (m, p, j, x, arr, pr, ts, iv, by, r, f, n, tx, i, bits, mon, t, u, c, d)
    SELECT (ARRAY['sad', 'ok', 'it''s'])[1 + g % 3]::mood, 1 + g, jsonb_build_object('g', g, 't', E'a\tb\\n'),
      '{"b": 1, "a":  [ ]}',
      ARRAY[[g, 2], [3, null]], (g, E'x\ty')::pair, 'infinity', interval '1 year -2 days 3.5 s',
      decode(md5(g::text), 'hex'), int4range(g * 2, g * 2 + 2),
      CASE g % 4 WHEN 0 THEN 'NaN' WHEN 1 THEN '-0' WHEN 2 THEN 'Infinity' ELSE g / 3.0 END::float8,
      CASE WHEN g % 5 = 0 THEN 'NaN' ELSE g * 1.10 END::numeric, to_tsvector('cat ' || g), '10.0.0.1', '10110', 12.5,
      '10:00+02', md5(g::text)::uuid, 'x', CASE g % 3 WHEN 0 THEN '0044-03-15 BC' ELSE '9999-12-31' END::date
    FROM generate_series(1, 3000) g;
  INSERT INTO "We ird"."T ä""x" SELECT 'ä' || g || E'\t\\' || chr(10), g, g / 7.0 FROM generate_series(1, 2000) g;
  INSERT INTO child SELECT g, g, nullif(g - 1, 0) FROM generate_series(1, 500) g;
  INSERT INTO part SELECT g, CASE g % 3 WHEN 0 THEN 'x' WHEN 1 THEN 'y' ELSE 'z' END, repeat('v', g % 50)
    FROM generate_series(1, 1000) g;
  INSERT INTO parent VALUES (1, 'p'); INSERT INTO heir VALUES (2, 'c', 3); INSERT INTO unlogged VALUES (1);
  INSERT INTO generated ("user") VALUES ('a'), (E'\\N'), (''), (NULL); INSERT INTO "order" VALUES (1);`;

/** Changes of every kind, also such as no trigger sees. */
export const awkwardChanges = `
  UPDATE a SET p = p + 1, f = '-0' WHERE id % 10 = 0; DELETE FROM child WHERE id > 490;
  UPDATE "We ird"."T ä""x" SET "Ä k" = "Ä k" || 'ö' WHERE b < 20; TRUNCATE parent CASCADE;
  INSERT INTO generated ("user") VALUES ('new'); INSERT INTO part VALUES (9998, 'x', 'y'), (9999, 'q', 'y');
  UPDATE part SET k = 'x' WHERE id = 4; INSERT INTO "order" VALUES (2);
  SET session_replication_role = replica; INSERT INTO child VALUES (9000, 1, 1); RESET session_replication_role;`;

export const awkwardTables = [
  '"We ird"."T ä""x"',
  ...['a', 'child', 'generated', 'heir', 'order', 'parent', 'part', 'unlogged'].map((name) =>
    name === 'order' ? 'public."order"' : `public.${name}`,
  ),
];
/** Of them, those whose changes cannot be tracked. */
export const untracked = ['public.heir', 'public.unlogged'];
