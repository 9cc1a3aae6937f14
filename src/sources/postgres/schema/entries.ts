import {type Token, tokensOf} from './tokens.ts';

/** One entry of pg_dump's table of contents, with its statements. */
export type Entry = {
  id: number;
  /** Oids of the object and of its catalog; 0 for what has none, as comments and grants. */
  classOid: number;
  oid: number;
  /** Ids of the entries that it needs. */
  needs: readonly number[];
  /** `orders`; `orders orders_pkey` for what belongs to a table; unquoted. See `withExactNames`. */
  name: string;
  /** Its name without that of its table. */
  own: string;
  /** `TABLE`, `INDEX`, `FK CONSTRAINT`, … */
  type: string;
  /** Empty for what is in no schema. */
  schema: string;
  owner: string;
  /** How a statement names it: `FUNCTION app.twice(v numeric)`; empty for what has no owner. */
  called: string;
  sql: string;
  /** In the order of creation. */
  position: number;
};

/**
 * Reads what `pg_restore --verbose` writes for an archive. Every entry begins with a comment that names it; a text
 * inside a function or a string that looks the same is no comment.
 */
export function entriesOf(script: string): readonly Entry[] {
  const entries: Entry[] = [];
  let header: string[] = [];
  let body: Token[] = [];
  let current: Header | undefined;
  const close = () => {
    if (current !== undefined) entries.push({...current, ...statementsIn(body), position: entries.length});
    body = [];
  };
  for (const token of tokensOf(script)) {
    const {kind, text} = token;
    if (kind === 'comment' && text.startsWith('--')) {
      header.push(text);
      continue;
    }
    if (kind === 'space' && header.length > 0) continue;
    const found = headerOf(header);
    header = [];
    if (found !== undefined) {
      close();
      current = found;
    }
    body.push(token);
  }
  close();
  return entries;
}

type Header = Omit<Entry, 'sql' | 'called' | 'position'>;

function headerOf(lines: readonly string[]): Header | undefined {
  // What ends the entry before is among the comments too: the last one that names an entry counts.
  const at = lines.findLastIndex((line) => line.startsWith('-- TOC entry '));
  const toc = /^-- TOC entry (\d+) \(class (\d+) OID (\d+)\)$/u.exec(lines[at] ?? '');
  if (toc === null) return undefined;
  const rest = lines.slice(at + 1);
  const named = /^-- Name: (.*); Type: ([^;]*); Schema: (.*); Owner: (.*)$/u.exec(
    rest.find((line) => line.startsWith('-- Name: ')) ?? '',
  );
  if (named === null) return undefined;
  const needs = rest.find((line) => line.startsWith('-- Dependencies: '))?.slice('-- Dependencies: '.length) ?? '';
  const [, name, type, schema, owner] = named as unknown as [string, string, string, string, string];
  return {
    id: Number(toc[1]),
    classOid: Number(toc[2]),
    oid: Number(toc[3]),
    needs: needs.split(' ').filter(Boolean).map(Number),
    name,
    own: name,
    type,
    schema: schema === '-' ? '' : schema,
    owner: owner === '-' ? '' : owner.replace(/; Tablespace: .*$/u, ''),
  };
}

const ownerOfIt = /^ALTER ([A-Z ]+ .*) OWNER TO .*;$/su;

/** Without the owner, which the entry names, and without settings, which newer and older servers do not know. */
function statementsIn(body: readonly Token[]): {sql: string; called: string} {
  const statements = statementsOf(body).filter((text) => !/^SET default_\w+ = [^;]*;$/u.test(text.trim()));
  const owner = ownerOfIt.exec(statements.at(-1)?.trim() ?? '');
  if (owner !== null) statements.pop();
  return {sql: statements.join('').trim(), called: owner?.[1] ?? ''};
}

/** Joined, they are the text; the statements inside a body of standard SQL are parts of their own. */
function statementsOf(tokens: readonly Token[]): string[] {
  const statements: string[] = [];
  let open = '';
  for (const [at, {kind, text}] of tokens.entries()) {
    // A command of psql at the end of the script.
    if (text === '\\' && tokens[at + 1]?.text === 'unrestrict') break;
    open += text;
    if (kind !== 'other' || text !== ';') continue;
    statements.push(open);
    open = '';
  }
  if (open.trim() !== '') statements.push(open);
  return statements;
}
