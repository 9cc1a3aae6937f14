import {isUtf8} from 'node:buffer';

/** An identifier in double quotes. */
export const quoteIdent = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** The name that an identifier in a statement means; one without quotes is taken as it is. */
export const unquoted = (identifier: string): string =>
  identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier;

/** Source of a regular expression: a name in a statement of pg_dump, with or without its schema. */
export const nameInSql = String.raw`(?:"(?:[^"]|"")*"|[^\s"])+`;

/** The name of what is in a schema. */
export const qualified = (schema: string, name: string) => `${quoteIdent(schema)}.${quoteIdent(name)}`;

/** A literal that means the same whatever `standard_conforming_strings` is. */
export function quoteText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/** The body of a function, in dollar quotes that do not occur in it. */
export function quoteBody(body: string): string {
  let tag = '$bkp$';
  while (body.includes(tag)) tag = tag.replace('bkp', 'bkp_');
  return `${tag}${body}${tag}`;
}

/** A literal of bytes as COPY writes them: UTF-8, except in a database of encoding SQL_ASCII, which may have any. */
export function quoteBytes(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return quoteText(Buffer.from(bytes).toString('utf8'));
  return `pg_catalog.convert_from('\\x${Buffer.from(bytes).toString('hex')}'::bytea, 'SQL_ASCII')`;
}
