import {randomBytes} from 'node:crypto';
import {link, readFile, rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError, systemCode} from '../../../errors/index.ts';
import {isAbsent, unreadable} from './bytes.ts';

/** Written by the server; empty or absent in older versions (9.0.1, 8.2.0). */
const serverPath = 'db/.data_id';
/** Written by bkp for older versions. It takes precedence, so that an update of the server does not change the id. */
const ownPath = 'db/.bkp_data_id';

/** Not restored with single tables: the result is another database. */
export const dataIdPaths: ReadonlySet<string> = new Set([serverPath, ownPath]);

const idBytes = 16;

/** 32 hex digits. @throws BkpError `SOURCE_UNAVAILABLE` when there is no id and bkp cannot write one */
export async function readDataId(root: string): Promise<string> {
  for (const path of [ownPath, serverPath]) {
    const id = await readId(join(root, path));
    if (id !== undefined) return id;
  }
  return makeId(join(root, ownPath));
}

async function readId(path: string): Promise<string | undefined> {
  const bytes = await readFile(path).catch((error: unknown) => {
    if (isAbsent(error)) return undefined;
    throw unreadable(error, path);
  });
  if (bytes === undefined || bytes.length < idBytes) return undefined;
  return bytes.subarray(0, idBytes).some((byte) => byte !== 0) ? bytes.toString('hex', 0, idBytes) : undefined;
}

/** Atomic: of two processes that write an id concurrently, only one succeeds, and both read the same id. */
async function makeId(path: string): Promise<string> {
  const temporary = `${path}.${process.pid}`;
  try {
    await writeFile(temporary, randomBytes(idBytes), {flush: true});
    try {
      await link(temporary, path);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    } finally {
      await rm(temporary, {force: true});
    }
  } catch (error) {
    throw new BkpError('SOURCE_UNAVAILABLE', 'the database has no id, and bkp cannot write one', {
      cause: error,
      next: `allow this user to write ${path} once; newer servers write an id themselves`,
      context: {path},
    });
  }
  const id = await readId(path);
  if (id === undefined)
    throw new BkpError('SOURCE_DAMAGED', `${path} does not contain an id`, {next: 'check the file, then remove it'});
  return id;
}
