import {readFileSync} from 'node:fs';
import {resolve} from 'node:path';
import type {OpenedKeys} from '../../app/keys/open-keys.ts';
import {warnIfOpen} from '../../app/places/open-file.ts';
import {askedSecret, secretIn} from '../../app/places/secrets.ts';
import {BkpError} from '../../errors/index.ts';
import {type Secret, slotOpenedBy} from '../../vault/index.ts';
import type {CommandDeps} from '../deps.ts';
import {slotText} from './changed.ts';

/**
 * From the file, else typed twice. Never from the settings: those have the password that is in use.
 * @throws BkpError `SECRET_MISSING` | `USAGE` | `PRECONDITION` if the vault has a slot with it
 */
export async function newPassword(
  deps: CommandDeps,
  {store, unlocked: {ring}}: OpenedKeys,
  file: string | undefined,
): Promise<Secret> {
  const secret = await givenPassword(deps, file);
  const slot = await slotOpenedBy(store, secret, ring);
  if (slot === undefined) return secret;
  throw new BkpError('PRECONDITION', `this ${secret.kind} opens slot ${slotText(slot)} already`, {
    cause: 'with two slots for one secret, a removal of one of them keeps nobody out',
    next: 'choose another one; nothing was changed',
  });
}

async function givenPassword(deps: CommandDeps, file: string | undefined): Promise<Secret> {
  const question = {question: 'new password', isNew: true};
  const secret =
    file === undefined ? await askedSecret(deps, question) : secretIn(read(deps, file), `the file ${file}`);
  if (file !== undefined) await warnIfOpen(deps, resolve(deps.cwd, file));
  if (secret !== undefined) return secret;
  throw new BkpError('SECRET_MISSING', 'there is no terminal to ask for the new password', {
    next: 'put it into a file, and name that with --password-file',
  });
}

function read({cwd}: CommandDeps, file: string): string {
  try {
    return readFileSync(resolve(cwd, file), 'utf8');
  } catch (cause) {
    throw new BkpError('SECRET_MISSING', `the file ${file} with the new password cannot be read`, {
      cause,
      next: 'check its name and its permissions',
    });
  }
}
