import {userInfo} from 'node:os';
import {type ExplainedSetting, environmentNameOf, explainSettings, hidden, resolveHome} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {CommandDeps} from '../deps.ts';

/** Variables that the AWS tools read and that are no secrets. */
const awsVariables = [
  'AWS_PROFILE',
  'AWS_REGION',
  'AWS_DEFAULT_REGION',
  'AWS_CONFIG_FILE',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_CA_BUNDLE',
  'NODE_EXTRA_CA_CERTS',
];
const kmsVariables = ['AWS_ENDPOINT_URL_KMS', 'AWS_ENDPOINT_URL'];
const awsSecret = 'AWS_SECRET_ACCESS_KEY';

/** The settings that say what the password of the vault is. They come before a credential. */
export const passwordSettings: readonly string[] = ['vault.password', 'vault.password.command'];

/**
 * The environment that cron or systemd needs to use the same home and settings as this process: those that only
 * its flags and its environment have. Configuration files and default folders are found without it.
 * @param options.isWithoutPassword the password of the vault comes another way
 * @throws BkpError `PRECONDITION` when one of them is a secret, which must not be in a unit or a crontab
 */
export async function variablesOf(
  deps: CommandDeps,
  {isWithoutPassword = false} = {},
): Promise<Readonly<Record<string, string>>> {
  const variables: Record<string, string> = {};
  const bare = resolveHome({}, process.platform, userInfo().homedir);
  if (bare.dir !== deps.home.dir) variables.BKP_HOME = deps.home.dir;

  const settings = await explainSettings(deps);
  const secrets: string[] = [];
  for (const setting of settings) {
    if (isWithoutPassword && passwordSettings.includes(setting.key)) continue;
    const [name, value] = variableOf(setting) ?? [];
    if (name === undefined || value === undefined) continue;
    if (value.includes(hidden)) secrets.push(setting.key);
    else variables[name] = value;
  }
  const {objectStore, vaultKmsKey} = await deps.settings();
  const isForStore = objectStore?.address.kind === 's3';
  const isForKms = vaultKmsKey !== undefined;
  const needed = isForKms ? [...awsVariables, ...kmsVariables] : awsVariables;
  if (isForStore || isForKms) for (const name of needed) if (deps.env[name]) variables[name] = deps.env[name];
  const needsSecret = isForKms || (isForStore && objectStore.credentials === undefined);
  if (deps.env[awsSecret] && needsSecret) secrets.push(awsSecret);
  if (secrets.length > 0) throw secretsOnlyHere(secrets);
  return variables;
}

/** Undefined if the setting comes from the profile or has its default. */
function variableOf({key, origin, shown}: ExplainedSetting): [name: string, value: string] | undefined {
  const file = /^environment (\S+) \((.*)\)$/s.exec(origin);
  if (file !== null) return [file[1]!, file[2]!];
  if (!/^(flag|environment) /.test(origin)) return undefined;
  return [environmentNameOf(key), String(shown)];
}

function secretsOnlyHere(secrets: readonly string[]): BkpError {
  const isAws = secrets.includes(awsSecret);
  const [key] = secrets;
  const isPassword = key === 'vault.password';
  return new BkpError('PRECONDITION', `only this shell has ${secrets.join(', ')}`, {
    cause: 'cron and systemd do not know what stands in it, and a secret is not written into a unit or a crontab',
    next: isAws
      ? 'aws configure keeps the keys where cron finds them; or bkp config set backup.object.store - < FILE'
      : isPassword
        ? 'put the password into a file that only you can read, and name that: bkp schedule install --credential FILE'
        : `bkp config set ${key} - < FILE keeps it in the profile; or ${environmentNameOf(key!)}_FILE names a ` +
          `file with it`,
  });
}
