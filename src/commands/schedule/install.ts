import {existsSync, writeFileSync} from 'node:fs';
import {isAbsolute, join} from 'node:path';
import {BkpError} from '../../errors/index.ts';
import {makeFolderSync} from '../../lib/files.ts';
import {requirePlainFile} from '../../lib/plain-file.ts';
import type {CommandDeps} from '../deps.ts';
import {credentialOf} from './credential.ts';
import {type Credential, crontabLine, type Invocation, systemdUnits, unitName} from './units.ts';
import {variablesOf} from './variables.ts';

export type ScheduleInstallOptions = {
  systemd?: boolean;
  crontab?: boolean;
  credential?: string;
  credentialEncrypted?: string;
  profiles: readonly string[];
  print: boolean;
  force: boolean;
};

export async function runScheduleInstall(deps: CommandDeps, options: ScheduleInstallOptions): Promise<void> {
  if (!options.systemd && !options.crontab) {
    throw new BkpError('USAGE', 'choose a timer: --systemd or --crontab', {
      next: 'bkp schedule install --systemd --print shows what would be written',
    });
  }
  const credential = await credentialOf(deps, options);
  const invocation = await invocationOf(deps, options.profiles, credential);
  if (options.crontab) return void deps.stdout.write(crontabLine(invocation));
  const units = systemdUnits(invocation);
  const folder = unitFolder(deps);
  if (options.print) {
    for (const [name, text] of units) deps.stdout.write(`# ${join(folder, name)}\n${text}\n`);
    return;
  }
  write(folder, units, options.force);
  for (const name of units.keys()) deps.stdout.write(`${join(folder, name)}\n`);
  deps.stderr.write(
    `bkp: systemctl --user daemon-reload && systemctl --user enable --now ${unitName}.timer starts it;\n` +
      '     loginctl enable-linger lets it run while you are not logged in\n',
  );
}

/** cron and systemd use neither the PATH nor the directory of this shell. */
async function invocationOf(
  deps: CommandDeps,
  profiles: readonly string[],
  credential: Credential | undefined,
): Promise<Invocation> {
  for (const profile of profiles) await (await deps.again({profile})).settings();
  const profile = deps.flags.profile ?? (deps.env.BKP_PROFILE || undefined);
  const named = profiles.length > 0 || profile === undefined ? profiles : [profile];
  // A word selects one of the profile's two stores; an address is a setting.
  const {store} = deps.flags;
  const chosen = store === undefined || store.includes(':') ? [] : ['--store', store];
  const words = [process.execPath, deps.entryFile, 'scheduler', '--once', ...chosen, ...named];
  return {words, variables: await variablesOf(deps, {isWithoutPassword: credential !== undefined}), credential};
}

/** The folder of a user's own systemd units: systemd.unit(5). */
function unitFolder({env}: CommandDeps): string {
  const base = env.XDG_CONFIG_HOME;
  if (base && isAbsolute(base)) return join(base, 'systemd', 'user');
  if (env.HOME) return join(env.HOME, '.config', 'systemd', 'user');
  throw new BkpError('USAGE', 'HOME is not set: bkp does not know where your units of systemd lie', {
    next: 'bkp schedule install --systemd --print prints them',
  });
}

/** Writes all files or none: checks for existing ones before writing the first. */
function write(folder: string, units: ReadonlyMap<string, string>, force: boolean): void {
  const there = [...units.keys()].map((name) => join(folder, name)).filter((file) => existsSync(file));
  if (there.length > 0 && !force) {
    throw new BkpError('PRECONDITION', `${there.join(' and ')} ${there.length === 1 ? 'is' : 'are'} there already`, {
      next: '--force writes over them; --print shows what would be written',
    });
  }
  try {
    makeFolderSync(folder);
    for (const name of units.keys()) requirePlainFile(join(folder, name));
    for (const [name, text] of units) writeFileSync(join(folder, name), text);
  } catch (cause) {
    throw new BkpError('CONFIG_UNAVAILABLE', `the units cannot be written into ${folder}`, {cause});
  }
}
