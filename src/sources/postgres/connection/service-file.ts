import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {BkpError, systemCode} from '../../../errors/index.ts';
import type {Environment} from './environment.ts';

/**
 * The parameters of a service, from the user's file or else the system's.
 * Source: https://www.postgresql.org/docs/18/libpq-pgservice.html
 * @param file the `servicefile` parameter
 * @throws BkpError `USAGE` when no file has the service
 */
export function readService(
  service: string,
  {file, env, home}: {file: string | undefined; env: Environment; home: string},
): ReadonlyMap<string, string> {
  const own = file ?? env.PGSERVICEFILE ?? join(home, '.pg_service.conf');
  const files = [own, ...(env.PGSYSCONFDIR === undefined ? [] : [join(env.PGSYSCONFDIR, 'pg_service.conf')])];
  for (const path of files) {
    const found = sectionOf(textOf(path), service);
    if (found !== undefined) return found;
  }
  throw new BkpError('USAGE', `source: there is no service ${service} in ${files.join(' or ')}`, {
    next: `add a section [${service}] with host=, dbname=, …, or name the file in PGSERVICEFILE`,
  });
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return '';
    throw new BkpError('FILE_UNAVAILABLE', `the service file ${path} cannot be read`, {
      cause: error,
      next: `ls -l '${path}'`,
    });
  }
}

function sectionOf(text: string, service: string): ReadonlyMap<string, string> | undefined {
  let section: Map<string, string> | undefined;
  for (const line of text.split(/\r?\n/u).map((written) => written.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const header = /^\[(.*)\]$/u.exec(line);
    if (header !== null) {
      if (section !== undefined) return section;
      if (header[1] === service) section = new Map();
      continue;
    }
    const equals = line.indexOf('=');
    if (section === undefined || equals === -1) continue;
    section.set(line.slice(0, equals).trim(), line.slice(equals + 1).trim());
  }
  return section;
}
