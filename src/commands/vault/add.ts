import {readFileSync, rmSync} from 'node:fs';
import {hostname} from 'node:os';
import {resolve} from 'node:path';
import {kitText} from '../../app/keys/kit.ts';
import {changeOpenedKeys, type OpenedKeys, openKeys} from '../../app/keys/open-keys.ts';
import {kindOf} from '../../app/keys/slots.ts';
import {ageRecipients, isIdentity, linesOf} from '../../app/places/age.ts';
import {kmsKey, kmsLabel} from '../../app/places/kms.ts';
import {BkpError} from '../../errors/index.ts';
import type {RowFormat} from '../../ui/index.ts';
import {isUndecided, type NewSlot, newKey} from '../../vault/index.ts';
import type {CommandDeps} from '../deps.ts';
import {slotText, tell} from './changed.ts';
import {placeFile} from './new-file.ts';
import {newPassword} from './new-password.ts';

export type AddOptions = {
  kit?: string | true;
  keyFile?: string;
  passwordFile?: string;
  age?: readonly string[];
  kms?: string;
  label?: string;
  format: RowFormat;
};

export async function runKeyAdd(deps: CommandDeps, options: AddOptions): Promise<void> {
  requireOne(options);
  const {age, kms} = options;
  if (age !== undefined) return addAge(deps, age, options);
  if (kms !== undefined) return addKms(deps, kms, options);
  const opened = await openKeys(deps);
  const {kit, keyFile, passwordFile, format, label = kit === undefined ? hostname() : 'recovery kit'} = options;
  if (kit !== undefined) return addKit(deps, opened, {label, file: kit === true ? undefined : kit, format});
  if (keyFile !== undefined) {
    const {secret, code} = newKey();
    return withNewFile(deps, {file: keyFile, text: `${code}\n`}, () => add(deps, opened, {secret, label}, format));
  }
  await add(deps, opened, {secret: await newPassword(deps, opened, passwordFile), label}, format);
}

/** Recipients, and files of them, are read before a secret is asked for. */
async function addAge(deps: CommandDeps, given: readonly string[], {label, format}: AddOptions): Promise<void> {
  const recipients = given.flatMap((one) =>
    one.startsWith('age1') || isIdentity(one) ? [one] : linesOf(readRecipients(deps, one)),
  );
  const [first] = recipients;
  if (first === undefined) {
    throw new BkpError('USAGE', `${given.join(', ')} contains no recipient`, {next: 'one public key of age per line'});
  }
  const secret = await ageRecipients(recipients);
  const more = recipients.length === 1 ? '' : ` and ${recipients.length - 1} more`;
  await add(deps, await openKeys(deps), {secret, label: label ?? `${first.slice(0, 12)}…${more}`}, format);
}

async function addKms(deps: CommandDeps, key: string, {label = kmsLabel(key), format}: AddOptions): Promise<void> {
  const secret = await kmsKey(key);
  await add(deps, await openKeys(deps), {secret, label}, format);
}

function readRecipients({cwd}: CommandDeps, file: string): string {
  try {
    return readFileSync(resolve(cwd, file), 'utf8');
  } catch (cause) {
    throw new BkpError('USAGE', `${file} is neither a recipient of age nor a file that can be read`, {
      cause,
      next: 'give a public key, which begins with age1, or a file with one per line',
    });
  }
}

async function addKit(
  deps: CommandDeps,
  opened: OpenedKeys,
  {label, file, format}: {label: string; file: string | undefined; format: RowFormat},
): Promise<void> {
  const {secret, code} = newKey();
  const {keys} = opened.unlocked.ring;
  const made = new Date(deps.nowMicros() / 1000).toISOString();
  const text = kitText({store: opened.place.store, keys, code, made});
  const slot = {secret, label, isKit: true};
  if (file !== undefined) return withNewFile(deps, {file, text}, () => add(deps, opened, slot, format));
  if (format === 'json') throw printedKit();
  deps.stdout.write(`${text}\n`);
  if (deps.stdout.isTTY) await requireWrittenDown(deps, code);
  await add(deps, opened, slot, format);
}

/** Two groups of the code are asked for, so that a kit which nobody wrote down does not count as one. */
async function requireWrittenDown(deps: CommandDeps, code: string): Promise<void> {
  const groups = code.split('-').slice(2);
  for (const number of [3, 7]) {
    const typed = await deps.askSecret?.(
      `group ${number} of the nine after BKP-KEY1, from the page that you wrote or printed`,
    );
    if (typed === undefined || typed.trim().toUpperCase() === groups[number - 1]) continue;
    throw new BkpError('USAGE', `that is not group ${number} of the key`, {
      next: 'give the command again: this kit opens nothing',
    });
  }
}

async function add(deps: CommandDeps, opened: OpenedKeys, slot: NewSlot, format: RowFormat): Promise<void> {
  const changed = await changeOpenedKeys(deps, opened, {add: slot});
  const info = changed.added!;
  // The kit itself may be all that goes into a file or to a printer.
  const stdout = slot.isKit && format === 'pretty' ? deps.stderr : deps.stdout;
  const isTyped = info.kind === 'password' || info.kind === 'key';
  const sentences = [`added slot ${slotText(info)}, opened by ${isTyped ? 'a ' : ''}${kindOf(info)}`];
  tell({stdout}, {changed, isRotated: false}, {format, sentences});
}

/**
 * The secret is on the disk before anything depends on it. The file goes again if that fails, but not while the vault
 * may have a slot that it opens: a kit that doctor counts must exist.
 */
async function withNewFile(
  deps: CommandDeps,
  {file, text}: {file: string; text: string},
  use: () => Promise<void>,
): Promise<void> {
  const path = resolve(deps.cwd, file);
  placeFile(deps, file, text);
  try {
    await use();
  } catch (error) {
    if (isUndecided(error)) deps.warn(`${file} is kept: the vault may have a slot that it opens`);
    else rmSync(path, {force: true});
    throw error;
  }
}

function requireOne({kit, keyFile, passwordFile, age, kms}: AddOptions): void {
  const given = [kit, keyFile, passwordFile, age, kms].filter((option) => option !== undefined);
  if (given.length <= 1) return;
  throw new BkpError('USAGE', 'a slot is for a kit, a key, a password, age or KMS', {
    next: 'give one of --kit, --key-file, --password-file, --age and --kms',
  });
}

const printedKit = () =>
  new BkpError('USAGE', 'a kit that is printed is a page for people, not JSON', {
    next: 'name a file for it: bkp vault key add --kit kit.txt --format json',
  });
