import {readFileSync} from 'node:fs';
import type * as Age from 'age-encryption';
import {BkpError} from '../../errors/index.ts';
import type {KeyKeeper} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {warnIfOpen} from './open-file.ts';
import {optionalPackage} from './optional-package.ts';

// Slots that age opens (age-encryption.org): the slot holds its key as an age file.

const loadAge = (): Promise<typeof Age> =>
  optionalPackage('age-encryption', 'a slot for age', () => import('age-encryption'));

/** A slot for these recipients, `age1…`: any of them opens it. Their identities are not needed. */
export async function ageRecipients(recipients: readonly string[]): Promise<KeyKeeper> {
  const {Encrypter} = await loadAge();
  for (const recipient of recipients) {
    try {
      new Encrypter().addRecipient(recipient);
    } catch (cause) {
      // It may be an identity: neither the text nor the words of age, which repeat it, are told then.
      if (!recipient.startsWith('age1')) throw new BkpError('USAGE', 'that is not a recipient of age', {next: kinds});
      throw new BkpError('USAGE', `${JSON.stringify(recipient)} is not a recipient of age`, {cause, next: kinds});
    }
  }
  return {kind: 'age', wrap: (code) => wrapped(recipients, code), unwrap: async () => undefined};
}

/** Whether this is an identity, typed where a recipient or a file is meant. */
export const isIdentity = (text: string) => /^age-secret-key-/i.test(text);

const kinds =
  'give a public key, which begins with age1, or a file with one per line; bkp knows no plugins and no SSH keys';

/**
 * What opens the slots of an identity, and makes a slot for it.
 * @param file as age-keygen writes it; one with a passphrase asks for that on the terminal
 * @throws BkpError `SECRET_MISSING` if the file has no identity
 */
export async function ageIdentity(deps: Deps, file: string): Promise<KeyKeeper> {
  const age = await loadAge();
  const identities = linesOf(await plainIdentity(deps, age, file));
  if (identities.length === 0) throw unusable(file, 'it contains no identity');
  for (const identity of identities) {
    try {
      new age.Decrypter().addIdentity(identity);
    } catch {
      // Its own words would repeat a part of the identity.
      throw unusable(file, 'a line of it is not an identity that bkp knows: plugins and SSH keys are not');
    }
  }
  return {
    kind: 'age',
    wrap: async (code) => wrapped(await Promise.all(identities.map((one) => age.identityToRecipient(one))), code),
    unwrap: ({file: armored}) => unwrapped(age, identities, armored),
  };
}

async function wrapped(recipients: readonly string[], code: string): Promise<{file: string}> {
  const {Encrypter, armor} = await loadAge();
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return {file: armor.encode(await encrypter.encrypt(`${code}\n`))};
}

async function unwrapped(
  {Decrypter, armor}: typeof Age,
  identities: readonly string[],
  armored: string | undefined,
): Promise<string | undefined> {
  if (armored === undefined) return undefined;
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  try {
    return (await decrypter.decrypt(armor.decode(armored), 'text')).trim();
  } catch (error) {
    if (/no identity matched/.test(String(error))) return undefined;
    // Made for this identity, and nevertheless no age file: what is not a key is reported as damage.
    return '';
  }
}

async function plainIdentity(deps: Deps, {Decrypter, armor}: typeof Age, file: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw unusable(file, cause);
  }
  const text = bytes.toString();
  const isArmored = text.trimStart().startsWith('-----BEGIN AGE ENCRYPTED FILE-----');
  if (!isArmored && !text.startsWith('age-encryption.org/')) {
    await warnIfOpen(deps, file);
    return text;
  }
  const passphrase = await deps.askSecret?.(`passphrase of ${file}`);
  if (passphrase === undefined) throw unusable(file, 'it has a passphrase, and there is no terminal to ask for it');
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase);
  try {
    return await decrypter.decrypt(isArmored ? armor.decode(text) : bytes, 'text');
  } catch {
    throw unusable(file, 'its passphrase is another one');
  }
}

/** Without blank lines and comments. */
export const linesOf = (text: string): string[] =>
  text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));

const unusable = (file: string, cause: unknown) =>
  new BkpError('SECRET_MISSING', `the age identity ${file} cannot be used`, {
    cause,
    next: 'set vault.age.identity to a file that age-keygen made, or use a password or a kit',
  });
