import {randomBytes} from 'node:crypto';
import {link, readFile, rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError, systemCode} from '../../../errors/index.ts';
import {isAbsent, unreadable} from './bytes.ts';

/** The server's own; it is empty or not there in older versions (9.0.1, 8.2.0). */
const serverPath = 'db/.data_id';
/** What bkp makes for these. It counts before the server's, so that the id stays when the server is updated. */
const ownPath = 'db/.bkp_data_id';

/** A part of a database is another one: these are not restored with it. */
export const dataIdPaths: ReadonlySet<string> = new Set([serverPath, ownPath]);

const idBytes = 16;

/** 32 hex digits. @throws BkpError `SOURCE_UNAVAILABLE` when there is none, and none can be made */
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

/** Whole or not at all, and of two that make one at once only one is taken. */
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
    throw new BkpError('SOURCE_UNAVAILABLE', 'the database has no id, and none can be written', {
      cause: error,
      next: `give this user the right to write ${path}, once; newer servers make one themselves`,
      context: {path},
    });
  }
  const id = await readId(path);
  if (id === undefined)
    throw new BkpError('SOURCE_DAMAGED', `${path} holds no id`, {next: `look at it, then remove it`});
  return id;
}
