import {exposure} from '../../config/index.ts';
import {shellQuoted} from '../../lib/text.ts';
import type {Deps} from '../deps.ts';

/** A secret in a file that others can read is used, and the user is warned: it may be closed by the folder above. */
export async function warnIfOpen(deps: Pick<Deps, 'warn'>, file: string): Promise<void> {
  const why = await exposure({configFile: file});
  if (why !== undefined) deps.warn(`${why}; close it: chmod 600 ${shellQuoted(file)}`);
}
