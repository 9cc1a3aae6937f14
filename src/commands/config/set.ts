import {Command} from 'commander';
import {
  argumentExposure,
  knownSetting,
  openProfiles,
  overrideOf,
  profileName,
  type Setting,
} from '../../config/index.ts';
import {BkpError, ExitStatus} from '../../errors/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';

export type ConfigSetOptions = {key: string; value: string};

export function configSet(deps: CommandDeps, run = runConfigSet): Command {
  return new Command('set')
    .description('Store a value in the profile. A relative path is stored as an absolute one.')
    .argument('<key>', 'name of the setting; bkp config list shows them all')
    .argument('<value>', 'new value; for backup.object.store and notify.…, - reads it from stdin')
    .addHelpText(
      'after',
      helpTail(
        [
          'bkp config set source sqlite::path=./app.db',
          'bkp config set cluster /backups',
          'bkp config set backup.object.store - < store.txt',
          'bkp --profile prod config set backup.compression.level 9',
        ],
        ['done', 'failed', 'usage'],
      ),
    )
    .action(async (key: string, value: string) => deps.exitWith(await run(deps, {key, value})));
}

/** Prints the stored value, which may differ from the typed one, and whether a flag or variable overrides it. */
export async function runConfigSet(deps: CommandDeps, {key, value}: ConfigSetOptions): Promise<ExitStatus> {
  const setting = await knownSetting(key);
  const profile = await profileName(deps);
  const fromStdin = setting.secret === true && value === '-';
  const text = fromStdin ? await readStdin(deps) : value;
  await checkSchedule(setting, text);
  const kept = await (await openProfiles(deps.home)).set(profile, setting.key, text, deps.cwd);
  deps.stderr.write(`bkp: ${setting.key} is ${kept} in profile ${profile}\n`);
  const told = setting.secret && !fromStdin ? await argumentExposure('this command', value) : undefined;
  if (told !== undefined) deps.warn(told);
  const override = await overrideOf(setting, deps);
  if (override !== undefined) deps.stderr.write(`bkp: it has no effect while ${override} is set\n`);
  return ExitStatus.done;
}

/** @throws BkpError `USAGE` for a cron line, a zone or a budget that the scheduler would refuse */
async function checkSchedule({field}: Setting, text: string): Promise<void> {
  if (text.trim() === '') return;
  try {
    if (['scheduleLine', 'verifyLine', 'drillLine'].includes(field))
      (await import('../../schedule/index.ts')).openSchedule(text);
    if (field === 'verifyBudget' && text.trim() !== 'off')
      (await import('../../backups/index.ts')).parseBudget('backup.verify.budget', text);
    if (field === 'scheduleZone') (await import('../../schedule/index.ts')).openSchedule('0 0 * * *', text.trim());
  } catch (error) {
    // In a statement, such a value is refused with another status.
    if (!(error instanceof BkpError) || error.code !== 'BAD_REQUEST') throw error;
    throw new BkpError('USAGE', error.message, {cause: error.cause, next: error.next});
  }
}

/** Far more than the longest session token. */
const mostBytes = 64 * 1024;

/** All of stdin, trimmed. */
async function readStdin({stdin, stderr}: CommandDeps): Promise<string> {
  if (stdin.isTTY) stderr.write('bkp: type the value, then Enter and Ctrl-D\n');
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stdin) {
    parts.push(Buffer.from(part));
    bytes += parts.at(-1)!.length;
    if (bytes > mostBytes) throw new BkpError('USAGE', 'the value on stdin is too large for a setting');
  }
  return Buffer.concat(parts).toString('utf8').trim();
}
