import {readFileSync} from 'node:fs';
import {resolve} from 'node:path';
import {warnIfOpen} from '../../app/places/open-file.ts';
import {secretIn} from '../../app/places/secrets.ts';
import {explainSettings} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import {credentialName} from '../../lib/vault-secrets.ts';
import type {CommandDeps} from '../deps.ts';
import type {Credential} from './units.ts';
import {passwordSettings} from './variables.ts';

type Given = {credential?: string; credentialEncrypted?: string; crontab?: boolean};

/**
 * The file with the password of the vault that a unit names.
 * @returns undefined if none is given
 * @throws BkpError `USAGE` | `SECRET_MISSING` | `PRECONDITION` (another password would come before it)
 */
export async function credentialOf(deps: CommandDeps, given: Given): Promise<Credential | undefined> {
  const isEncrypted = given.credentialEncrypted !== undefined;
  const word = given.credentialEncrypted ?? given.credential;
  if (word === undefined) return undefined;
  const file = resolve(deps.cwd, fileIn(word));
  if (isEncrypted && given.crontab) throw notByCron();
  if (/[\r\n]|\\$/.test(file)) {
    throw new BkpError('USAGE', `${JSON.stringify(file)} cannot be written into a unit`, {next: 'rename the file'});
  }
  const text = read(file);
  // systemd opens an encrypted one: whether its text is a secret shows only then.
  if (!isEncrypted) {
    secretIn(text, `the file ${file}`);
    await warnIfOpen(deps, file);
  }
  await requireFirst(deps);
  return {file, isEncrypted};
}

/** `bkp.password=FILE`, as systemd names it, or the file alone. */
function fileIn(word: string): string {
  const [, name, file] = /^([\w.-]+)=(.*)$/s.exec(word) ?? [];
  if (name === undefined || file === undefined) return word;
  if (name === credentialName) return file;
  throw new BkpError('USAGE', `bkp has no use for a credential ${name}`, {
    cause: `it reads the password of the vault, ${credentialName}`,
    next: `bkp schedule install --systemd --credential ${credentialName}=${file}`,
  });
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new BkpError('SECRET_MISSING', `the file ${file} with the password cannot be read`, {
      cause,
      next: 'write the password into it, so that only you can read it: (umask 077; cat > FILE)',
    });
  }
}

/** @throws BkpError `PRECONDITION` if the profile has a password, which comes first */
async function requireFirst(deps: CommandDeps): Promise<void> {
  const settings = await explainSettings(deps);
  const found = settings.find(({key, origin}) => passwordSettings.includes(key) && /^profile /.test(origin));
  if (found === undefined) return;
  throw new BkpError('PRECONDITION', `the profile has ${found.key}, so the credential would not be used`, {
    next: `take it out of the profile: bkp config unset ${found.key}`,
  });
}

const notByCron = () =>
  new BkpError('USAGE', 'cron cannot decrypt a credential of systemd', {
    next: 'give --credential with a file that only you can read, or use --systemd',
  });
