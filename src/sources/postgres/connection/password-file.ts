import {statSync} from 'node:fs';
import {readPlainFile} from '../../../lib/plain-file.ts';

export type PasswordFor = {host: string; port: number; database: string; user: string};

/**
 * The password of the first line of a `.pgpass` file that matches. What others can read is ignored, and what
 * is no file, as libpq does. Source: https://www.postgresql.org/docs/18/libpq-pgpass.html
 * @returns undefined also when there is no file
 */
export function passwordFrom(file: string, {host, port, database, user}: PasswordFor): string | undefined {
  // A socket in a folder is looked up as localhost.
  const wanted = [host.startsWith('/') ? 'localhost' : host, String(port), database, user];
  for (const line of linesOf(file)) {
    const fields = fieldsOf(line);
    const matches = wanted.every(
      (value, at) => fields[at] === '*' || fields[at]?.replaceAll(/\\(.)/gu, '$1') === value,
    );
    if (fields.length >= 5 && matches) return fields[4]!.replaceAll(/\\(.)/gu, '$1');
  }
  return undefined;
}

function linesOf(file: string): readonly string[] {
  try {
    const {mode} = statSync(file);
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) return [];
    return readPlainFile(file)
      .split(/\r?\n/u)
      .filter((line) => line !== '' && !line.startsWith('#'));
  } catch {
    return [];
  }
}

/** Split at colons that no backslash precedes. */
function fieldsOf(line: string): readonly string[] {
  return line.match(/(?:\\.|[^:\\])+|(?<=:|^)(?=:|$)/gu) ?? [];
}
