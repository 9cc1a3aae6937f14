import {BkpError, didYouMean} from '../../errors/index.ts';

// No message here repeats what was typed, not even a key: if a `;` is missing, or a secret contains one, any part of
// the text may be part of a secret. Messages count settings from 1 instead.

const secretKeys = ['access_key_id', 'secret_access_key', 'session_token'];

/**
 * Reads `key=value;key=value;` as QuestDB does: a `;` always separates settings and cannot be escaped.
 * @param scheme for messages: `s3` or `fs`
 * @param keys the known keys
 * @throws BkpError `USAGE`
 */
export function readPairs<Key extends string>(scheme: string, text: string, keys: readonly Key[]): Map<Key, string> {
  const values = new Map<Key, string>();
  const parts = text.split(';');
  if (parts.at(-1)?.trim() === '') parts.pop();
  for (const [index, part] of parts.entries()) {
    const place = `setting ${index + 1} of the text after ${scheme}::`;
    if (part.trim() === '') {
      throw usage(`${place} is empty`, 'write one ; between two settings; a value cannot contain a ;');
    }
    const equals = part.indexOf('=');
    if (equals === -1) {
      throw usage(`${place} contains no =`, `write ${scheme}::key=value;key=value; a value cannot contain a ;`);
    }
    const name = part.slice(0, equals).trim();
    const key = keys.find((known) => known === name);
    if (key === undefined) throw usage(`${place} has a key that ${scheme} does not have`, meant(name, keys));
    if (values.has(key)) throw usage(`${key} is set twice`, 'keep one of the two');
    const value = part.slice(equals + 1);
    const swallowed = secretKeys.find((secret) => value.includes(`${secret}=`));
    if (swallowed !== undefined) throw usage(`the value of ${key} contains ${swallowed}=`, `put a ; before it`);
    values.set(key, value);
  }
  return values;
}

function meant(name: string, keys: readonly string[]): string {
  const near = didYouMean(name, keys);
  return near === undefined ? `its settings are ${keys.join(', ')}` : `did you mean ${near}?`;
}

export function usage(message: string, next: string): BkpError {
  return new BkpError('USAGE', `store: ${message}`, {next});
}
