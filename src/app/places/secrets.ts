import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {BkpError, systemCode} from '../../errors/index.ts';
import {parseSecret, type Secret} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {runPasswordCommand} from './password-command.ts';

/**
 * The secret that the settings name, whether it is a password or a key.
 * @returns undefined if none is set
 * @throws BkpError `SECRET_MISSING` if it is set and cannot be had
 */
export async function configuredSecret(deps: Deps): Promise<Secret | undefined> {
  const {vaultPassword, vaultPasswordCommand} = await deps.settings();
  if (vaultPassword !== undefined) return secretIn(vaultPassword, 'the password of the vault');
  if (vaultPasswordCommand !== undefined) {
    return secretIn(await runPasswordCommand(deps, vaultPasswordCommand), 'what the password command prints');
  }
  const credential = credentialFile(deps);
  return credential === undefined ? undefined : secretIn(readCredential(credential), `the credential ${credential}`);
}

/** Whether the settings name a secret; neither runs a command nor reads a credential. */
export async function isSecretConfigured(deps: Deps): Promise<boolean> {
  const {vaultPassword, vaultPasswordCommand} = await deps.settings();
  if (vaultPassword !== undefined || vaultPasswordCommand !== undefined) return true;
  const credential = credentialFile(deps);
  return credential !== undefined && isThere(credential);
}

/** Where systemd puts the credential that `LoadCredential=bkp.password:FILE` names. */
const credentialFile = ({env}: Pick<Deps, 'env'>) =>
  env.CREDENTIALS_DIRECTORY ? join(env.CREDENTIALS_DIRECTORY, 'bkp.password') : undefined;

function isThere(file: string): boolean {
  try {
    readFileSync(file);
    return true;
  } catch (error) {
    return systemCode(error) !== 'ENOENT';
  }
}

/** @returns undefined if the service has credentials, and none of this name */
function readCredential(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw new BkpError('SECRET_MISSING', `the credential ${file} cannot be read`, {
      cause: error,
      next: 'check LoadCredential in the unit: systemctl cat bkp',
    });
  }
}

/** Without exactly one newline at the end, which editors and commands add. */
function secretIn(text: string | undefined, what: string): Secret | undefined {
  if (text === undefined) return undefined;
  const line = text.replace(/\r?\n$/, '');
  const fault =
    line === ''
      ? 'is empty'
      : /[\r\n]/.test(line)
        ? 'has more than one line'
        : line.includes('\0')
          ? 'contains a NUL'
          : undefined;
  if (fault === undefined) return parseSecret(line);
  throw new BkpError('SECRET_MISSING', `${what} ${fault}`, {next: 'a secret is one line, and is not empty'});
}

/**
 * The secret of the settings, or the one that is typed on the terminal, which is asked for once.
 * @param question what to ask
 * @returns undefined if there is neither
 */
export async function secretFor(deps: Deps, question: string): Promise<Secret | undefined> {
  return (await configuredSecret(deps)) ?? deps.keyChain?.typed ?? (await askedSecret(deps, question));
}

async function askedSecret(deps: Deps, question: string): Promise<Secret | undefined> {
  const text = await deps.askSecret?.(question);
  const secret = secretIn(text, 'the password');
  if (secret !== undefined && deps.keyChain !== undefined) deps.keyChain.typed = secret;
  return secret;
}
