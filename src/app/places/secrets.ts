import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {explainSettings, type SettingField} from '../../config/index.ts';
import {BkpError, systemCode} from '../../errors/index.ts';
import {credentialName, isOfKit} from '../../lib/vault-secrets.ts';
import {isKeyCode, parseSecret, type Secret} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {ageIdentity} from './age.ts';
import {kmsKey} from './kms.ts';
import {runPasswordCommand} from './password-command.ts';

/**
 * The secret that the settings name, whether it is a password or a key.
 * @returns undefined if none is set
 * @throws BkpError `SECRET_MISSING` if it is set and cannot be had
 */
export async function configuredSecret(deps: Deps): Promise<Secret | undefined> {
  const {vaultPassword, vaultPasswordCommand, vaultAgeIdentity, vaultKmsKey} = await deps.settings();
  if (vaultPassword !== undefined) return secretIn(vaultPassword, 'the password of the vault');
  if (vaultPasswordCommand !== undefined) {
    return secretIn(await runPasswordCommand(deps, vaultPasswordCommand), 'what the password command prints');
  }
  const credential = credentialFile(deps);
  const secret =
    credential === undefined ? undefined : secretIn(readCredential(credential), `the credential ${credential}`);
  if (secret !== undefined) return secret;
  if (vaultAgeIdentity !== undefined) return ageIdentity(deps, vaultAgeIdentity);
  return vaultKmsKey === undefined ? undefined : kmsKey(vaultKmsKey);
}

/**
 * Says of a secret that opens nothing where it was found: several places may name one, and the first counts.
 * @param error returned as it is if it is about something else
 */
export async function withOrigin(deps: Deps, error: unknown): Promise<unknown> {
  if (!(error instanceof BkpError) || error.code !== 'SECRET_WRONG') return error;
  const cause = `it was taken from ${await originOfSecret(deps)}`;
  return new BkpError('SECRET_WRONG', error.message, {cause, next: error.next, context: error.context});
}

async function originOfSecret(deps: Deps): Promise<string> {
  const explained = await explainSettings(deps);
  const origin = (field: SettingField) => {
    const found = explained.find((setting) => setting.field === field && setting.value !== undefined);
    return found && `${found.key} of ${found.origin}`;
  };
  const credential = credentialFile(deps);
  return (
    origin('vaultPassword') ??
    origin('vaultPasswordCommand') ??
    (credential !== undefined && isThere(credential) ? `the credential ${credential}` : undefined) ??
    origin('vaultAgeIdentity') ??
    origin('vaultKmsKey') ??
    'the terminal'
  );
}

/** Whether the settings name a secret; neither runs a command nor reads a credential. */
export async function isSecretConfigured(deps: Deps): Promise<boolean> {
  const {vaultPassword, vaultPasswordCommand, vaultAgeIdentity, vaultKmsKey} = await deps.settings();
  if ([vaultPassword, vaultPasswordCommand, vaultAgeIdentity, vaultKmsKey].some((one) => one !== undefined))
    return true;
  const credential = credentialFile(deps);
  return credential !== undefined && isThere(credential);
}

/** Where systemd puts the credential that `LoadCredential=bkp.password:FILE` names. */
const credentialFile = ({env}: Pick<Deps, 'env'>) =>
  env.CREDENTIALS_DIRECTORY ? join(env.CREDENTIALS_DIRECTORY, credentialName) : undefined;

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
      next: 'check LoadCredential in the unit: systemctl cat bkp, or systemctl --user cat bkp-scheduler',
    });
  }
}

/**
 * Without exactly one newline at the end, which editors and commands add. Of a recovery kit, its key.
 * @param what the subject of a sentence
 * @throws BkpError `SECRET_MISSING` if the text can be no secret
 */
export function secretIn(text: string | undefined, what: string): Secret | undefined {
  if (text === undefined) return undefined;
  const line = keyInKit(text) ?? text.replace(/\r?\n$/, '');
  const fault =
    line === ''
      ? 'is empty'
      : /[\r\n]/.test(line)
        ? 'has more than one line'
        : line.includes('\0')
          ? 'contains a NUL'
          : undefined;
  if (fault === undefined) return parseSecret(line);
  throw new BkpError('SECRET_MISSING', `${what} ${fault}`, {
    next: 'a secret is one line that is not empty, or a recovery kit',
  });
}

const keyInKit = (text: string): string | undefined =>
  isOfKit(text) ? text.split(/\s+/).find((word) => isKeyCode(word)) : undefined;

type Question = {
  question: string;
  /** A new one is asked for twice. */
  isNew?: boolean;
};

/**
 * The secret of the settings, or the one that is typed on the terminal, which is asked for once.
 * @returns undefined if there is neither
 */
export async function secretFor(deps: Deps, question: Question): Promise<Secret | undefined> {
  const configured = (await configuredSecret(deps)) ?? deps.keyChain?.typed;
  if (configured !== undefined) return configured;
  const secret = await askedSecret(deps, question);
  if (secret !== undefined && deps.keyChain !== undefined) deps.keyChain.typed = secret;
  return secret;
}

/**
 * What is typed where AWS KMS fails to open a slot: another slot of the vault may have a password or a kit.
 * @returns undefined if something else failed, or there is no terminal
 */
export async function secretInsteadOf(deps: Deps, error: unknown, question: Question): Promise<Secret | undefined> {
  const isKms = error instanceof BkpError && (error.code === 'KMS_UNAVAILABLE' || error.code === 'KMS_DENIED');
  if (!isKms || deps.askSecret === undefined) return undefined;
  deps.warn(`${error.message} (${String(error.cause)}): another secret is asked for`);
  return askedSecret(deps, question);
}

/**
 * @returns undefined if there is no terminal
 * @throws BkpError `USAGE` if a new secret is not the same twice
 */
export async function askedSecret(deps: Deps, {question, isNew = false}: Question): Promise<Secret | undefined> {
  const text = await deps.askSecret?.(question);
  if (text === undefined) return undefined;
  const secret = secretIn(text, 'the password');
  if (isNew && secret?.kind === 'password' && (await deps.askSecret?.('the same again')) !== text) {
    throw new BkpError('USAGE', 'the two passwords differ', {next: 'give the command again: nothing was changed'});
  }
  return secret;
}
