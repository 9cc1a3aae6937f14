import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {BkpError} from '../../errors/index.ts';
import {withoutVaultSecrets} from '../../lib/vault-secrets.ts';
import type {Deps} from '../deps.ts';

/** Far more than any secret. */
const mostBytes = 64 * 1024;

/**
 * What a command prints: `pass show bkp`. It may use the terminal, to ask for the passphrase of its own store.
 * @throws BkpError `SECRET_MISSING` with the command's own words
 */
export async function runPasswordCommand({env}: Pick<Deps, 'env'>, command: string): Promise<string> {
  const child = spawn(command, {
    shell: true,
    env: withoutVaultSecrets(env) as NodeJS.ProcessEnv,
    stdio: ['inherit', 'pipe', 'inherit'],
  });
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  child.stdout.on('data', (part: Buffer) => {
    sizeBytes += part.length;
    if (sizeBytes <= mostBytes) parts.push(part);
  });
  const [status, by] = await once(child, 'close').catch((cause: unknown) => {
    throw failed(command, `it could not be started: ${(cause as Error).message}`);
  });
  if (status !== 0)
    throw failed(command, by === null ? `it ended with exit status ${status}` : `it was ended by ${by}`);
  if (sizeBytes > mostBytes) throw failed(command, 'it printed more than a password');
  return Buffer.concat(parts).toString();
}

const failed = (command: string, cause: string) =>
  new BkpError('SECRET_MISSING', 'the command that prints the password of the vault failed', {
    cause,
    next: `run it by hand: ${command}`,
  });
