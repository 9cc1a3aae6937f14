import {BkpError} from '../errors/index.ts';
import type {GoneBackup, VaultReader} from '../vault/index.ts';

/** `shop/20250215120000Z_full`. */
export const goneLabel = ({folder, backup}: GoneBackup) => `${nameIn(folder.split('/').at(-2)!)}/${backup}`;

/** A very long name is cut, perhaps within a character. */
function nameIn(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const known = ({isSeenHere}: GoneBackup) =>
  isSeenHere ? 'this machine has seen it there' : 'the vault says that it was the newest one';

const accepting = 'if it is no longer expected: bkp store forget --gone';

/** For people, with the next step. */
export function goneText(location: string, gone: GoneBackup): string {
  return (
    `the newest backup ${goneLabel(gone)} is gone from ${location}: ${known(gone)}, and nobody with the keys of the ` +
    `vault has removed it. Ask whoever manages the store, and take a new backup; ${accepting}`
  );
}

/** What is gone below a folder, by the listings so far: sentences, for people. */
export const goneTexts = (vault: VaultReader, folder: string): readonly string[] =>
  vault.gone(folder).map((gone) => goneText(vault.location, gone));

/**
 * An older backup is not what a user means who asks for the newest one.
 * @param next what to do to use an older one on purpose; absent: there is none
 */
export function goneError(location: string, gone: GoneBackup, next: string | undefined): BkpError {
  const ask = `ask whoever manages the store what happened; ${accepting}`;
  return new BkpError('STORE_REFUSED', `the newest backup ${goneLabel(gone)} is gone from ${location}`, {
    cause: `${known(gone)}, and nobody with the keys of the vault has removed it`,
    next: next === undefined ? ask : `${next}; ${ask}`,
  });
}
