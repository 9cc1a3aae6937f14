import {createHash} from 'node:crypto';
import {renameSync, rmSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {describeStore, type Home, makeInHome, type StoreAddress} from '../../config/index.ts';
import {readPlainFile} from '../../lib/plain-file.ts';
import {parsedJson, type Schema} from '../../lib/schema.ts';

// Small files in which the home remembers something. They prove nothing and may be lost.

/** The note about a store. @param ending distinguishes its kind */
export const storeNote = ({vaultsDir}: Pick<Home, 'vaultsDir'>, store: StoreAddress, ending: string): string =>
  join(vaultsDir, `${createHash('sha256').update(describeStore(store)).digest('hex').slice(0, 32)}${ending}`);

/** @returns undefined if there is none, or if it cannot be read */
export function readNote<T>(schema: Schema<T>, file: string): T | undefined {
  try {
    return parsedJson<T>(schema, readPlainFile(file), (why) => new Error(why));
  } catch {
    return undefined;
  }
}

/** Ignores a home that cannot be written: then only what is remembered is lost. */
export function writeNote(home: Pick<Home, 'dir'>, file: string, note: object): void {
  const fresh = `${file}.${process.pid}`;
  try {
    makeInHome(home, dirname(file));
    // What a process of this number left.
    rmSync(fresh, {force: true});
    writeFileSync(fresh, `${JSON.stringify(note)}\n`, {mode: 0o600, flag: 'wx'});
    renameSync(fresh, file);
  } catch {
    rmSync(fresh, {force: true});
  }
}
