import {expect, test} from 'vitest';
import {quoteBytes, quoteIdent} from '../../../src/sources/postgres/connection/quote.ts';
import {entriesOf} from '../../../src/sources/postgres/schema/entries.ts';
import {asIdent, movedKeys, moveKey, rewrite} from '../../../src/sources/postgres/schema/rewrite.ts';
import {tokensOf} from '../../../src/sources/postgres/schema/tokens.ts';
import {countRows, lastKey} from '../../../src/sources/postgres/segments/copy-text.ts';
import fc from '../../seeds/fast-check.ts';

test('the tokens of a text are the text', () => {
  const piece = fc.oneof(
    fc.string({unit: 'grapheme'}),
    fc.constantFrom(
      "'a''b'",
      "E'\\''",
      '"x""y"',
      '$$a$$',
      '$f$ $$ $f$',
      '--c\n',
      '/* /* */ */',
      'a.b',
      '1.5',
      ';',
      '$1',
    ),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const sql = pieces.join(' ');
      expect([...tokensOf(sql)].map(({text}) => text).join('')).toBe(sql);
    }),
  );
});

const moved = (schema: string, name: string, isTable: boolean) =>
  movedKeys(schema, name, {isTable}).map((key) => [key, 'stage'] as const);
const moves = new Map([
  ...moved('public', 'orders', true),
  ...moved('We ird', 'T"x', true),
  ...moved('public', 'user', true),
  ...moved('public', 'by_mood', false),
]);

test.each([
  ['CREATE TABLE public.orders (id int)', 'CREATE TABLE stage.orders (id int)'],
  ['CREATE INDEX i ON ONLY "We ird"."T""x" (a)', 'CREATE INDEX i ON ONLY stage."T""x" (a)'],
  ['ALTER TABLE public."user" ADD x int', 'ALTER TABLE stage."user" ADD x int'],
  ["DEFAULT nextval('public.orders'::regclass)", "DEFAULT nextval('stage.orders'::regclass)"],
  ["DEFAULT 'public.orders'::text", "DEFAULT 'public.orders'::text"],
  ['AS $$select * from public.orders$$', 'AS $$select * from public.orders$$'],
  ['-- public.orders\nselect 1', '-- public.orders\nselect 1'],
  ['select a.public.orders', 'select a.public.orders'],
  ['REFERENCES public.others(id)', 'REFERENCES public.others(id)'],
  ['REFERENCES public.orders(id)', 'REFERENCES stage.orders(id)'],
  ['DEFAULT public.orders(3)', 'DEFAULT public.orders(3)'],
  ['CHECK ("We ird"."T""x" (a) > 0)', 'CHECK ("We ird"."T""x" (a) > 0)'],
  ['EXECUTE FUNCTION public.orders()', 'EXECUTE FUNCTION public.orders()'],
  ['(v COLLATE public.orders)', '(v COLLATE public.orders)'],
  ['CREATE STATISTICS public.orders (mcv) ON a', 'CREATE STATISTICS stage.orders (mcv) ON a'],
  ['INSERT INTO public.orders (a) VALUES', 'INSERT INTO stage.orders (a) VALUES'],
  [
    "CREATE INDEX i ON public.orders USING gist (v public.orders, (lower(w)) public.orders (siglen='3') DESC)",
    "CREATE INDEX i ON stage.orders USING gist (v public.orders, (lower(w)) public.orders (siglen='3') DESC)",
  ],
  [
    'ADD CONSTRAINT c EXCLUDE USING gist (v public.orders WITH OPERATOR(public.=)) WHERE ((r = NULL::public.orders))',
    'ADD CONSTRAINT c EXCLUDE USING gist (v public.orders WITH OPERATOR(public.=)) WHERE ((r = NULL::stage.orders))',
  ],
  [
    'CREATE TABLE public.orders (v "We ird"."T""x", w public.by_mood) PARTITION BY RANGE (w public.orders)',
    'CREATE TABLE stage.orders (v stage."T""x", w public.by_mood) PARTITION BY RANGE (w public.orders)',
  ],
  ["DEFAULT 'a'::public.by_mood", "DEFAULT 'a'::public.by_mood"],
  ['COMMENT ON INDEX public.by_mood IS NULL', 'COMMENT ON INDEX stage.by_mood IS NULL'],
  [
    'ALTER INDEX public.by_mood ATTACH PARTITION public.by_mood',
    'ALTER INDEX stage.by_mood ATTACH PARTITION stage.by_mood',
  ],
  [
    'ADD GENERATED ALWAYS AS IDENTITY ( SEQUENCE NAME public.by_mood START WITH 1)',
    'ADD GENERATED ALWAYS AS IDENTITY ( SEQUENCE NAME stage.by_mood START WITH 1)',
  ],
  ["nextval('public.by_mood'::regclass)", "nextval('stage.by_mood'::regclass)"],
])('%s is moved to %s', (sql, to) => {
  expect(rewrite(sql, moves)).toBe(to);
});

test('names survive being quoted and moved', () => {
  const name = fc.string({unit: 'grapheme', minLength: 1, maxLength: 20}).filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(name, name, (schema, table) => {
      const moved = rewrite(`${asIdent(schema)}.${asIdent(table)}`, new Map([[moveKey(schema, table), 'stage']]));
      expect(moved).toBe(`stage.${asIdent(table)}`);
    }),
  );
});

test('identifiers and keys are quoted', () => {
  expect(quoteIdent('orders')).toBe('"orders"');
  expect(quoteIdent('a"b')).toBe('"a""b"');
  expect(quoteBytes(Buffer.from("it's"))).toBe("'it''s'");
  expect(quoteBytes(Buffer.from('ä\\'))).toBe(String.raw` E'ä\\'`);
  expect(quoteBytes(Buffer.from([0xe4]))).toContain(String.raw`'\xe4'`);
});

test('the key of the last row is unescaped, and rows are counted by lines', () => {
  const rows = Buffer.from('1\tx\n2\ta\\tb\\\\\\n\tmore\n');
  expect(lastKey(rows, 2).map((part) => Buffer.from(part).toString())).toEqual(['2', 'a\tb\\\n']);
  expect(lastKey(Buffer.from('only\n'), 1).map((part) => Buffer.from(part).toString())).toEqual(['only']);
  expect(countRows(rows)).toBe(2);
});

const script = String.raw`--
-- PostgreSQL database dump
--
\restrict abc
SET statement_timeout = 0;

--
-- TOC entry 219 (class 1255 OID 16415)
-- Name: touch(); Type: FUNCTION; Schema: public; Owner: app
-- Data Pos: 0
--

CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$
--
-- TOC entry 5 (class 1 OID 2)
-- Name: no; Type: TABLE; Schema: public; Owner: app
--
$$;


ALTER FUNCTION public.touch() OWNER TO app;

SET default_tablespace = '';

--
-- TOC entry 216 (class 1259 OID 16398)
-- Dependencies: 850 219
-- Name: odd; name; Type: TABLE; Schema: We ird; Owner: app
-- Data Pos: 0
--

CREATE TABLE "We ird"."odd; name" (id integer);


ALTER TABLE "We ird"."odd; name" OWNER TO app;

-- Completed on 2026-11-27

--
-- PostgreSQL database dump complete
--
\unrestrict abc
`;

test('entries of a dump are separated by its comments, and by nothing inside functions', () => {
  expect(entriesOf(script)).toMatchObject([
    {id: 219, classOid: 1255, oid: 16415, name: 'touch()', type: 'FUNCTION', schema: 'public', owner: 'app', needs: []},
    {id: 216, oid: 16398, name: 'odd; name', type: 'TABLE', schema: 'We ird', needs: [850, 219], position: 1},
  ]);
  const [, table] = entriesOf(script);
  expect(table!.sql).toBe('CREATE TABLE "We ird"."odd; name" (id integer);');
});
