import {shellQuoted} from '../../lib/text.ts';
import {credentialName} from '../../lib/vault-secrets.ts';

/** The command to run, word by word. */
export type Invocation = {
  words: readonly string[];
  /** The environment that it needs. */
  variables: Readonly<Record<string, string>>;
  /** Of the password, which systemd hands to the service. */
  credential?: Credential | undefined;
};

export type Credential = {
  /** Absolute path. */
  file: string;
  /** Made by `systemd-creds encrypt`. */
  isEncrypted: boolean;
};

export const unitName = 'bkp-scheduler';

/**
 * systemd interprets `%` and `$` in every word, and a backslash and a double quote in a quoted one:
 * systemd.service(5).
 */
function systemdWord(word: string): string {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return `"${escaped}"`;
}

/** An environment assignment expands `%`, but not `$`: systemd.exec(5). */
function systemdVariable(name: string, value: string): string {
  return `"${name}=${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%')}"`;
}

/** The path is taken as it is, but for `%`: systemd.exec(5). */
function credentialLine({file, isEncrypted}: Credential): string {
  return `LoadCredential${isEncrypted ? 'Encrypted' : ''}=${credentialName}:${file.replaceAll('%', '%%')}`;
}

/** The files of a user's unit, by name. Persistent=true is not needed: bkp itself makes up for missed runs. */
export function systemdUnits({words, variables, credential}: Invocation): ReadonlyMap<string, string> {
  const service = [
    '[Unit]',
    'Description=Backups that are due, by bkp',
    '',
    '[Service]',
    'Type=oneshot',
    ...Object.entries(variables).map(([name, value]) => `Environment=${systemdVariable(name, value)}`),
    ...(credential === undefined ? [] : [credentialLine(credential)]),
    `ExecStart=${words.map(systemdWord).join(' ')}`,
    // The workers continue after the command that started them has ended.
    'KillMode=process',
  ];
  const timer = [
    '[Unit]',
    'Description=Looks every five minutes which backups are due',
    '',
    '[Timer]',
    'OnCalendar=*:0/5',
    '',
    '[Install]',
    'WantedBy=timers.target',
  ];
  return new Map([
    [`${unitName}.service`, `${service.join('\n')}\n`],
    [`${unitName}.timer`, `${timer.join('\n')}\n`],
  ]);
}

/** cron ends the command at a `%` without a backslash before it, even inside quotes: crontab(5). */
export function crontabLine({words, variables, credential}: Invocation): string {
  // cron hands over no credentials, but the name of a file is no secret.
  const password = credential === undefined ? {} : {BKP_PASSWORD_FILE: credential.file};
  const set = Object.entries({...variables, ...password}).map(([name, value]) => `${name}=${shellWord(value)}`);
  const shell = [...set, ...words.map(shellWord)].join(' ');
  return `*/5 * * * * ${shell.replaceAll('%', '\\%')}\n`;
}

function shellWord(word: string): string {
  return /^[\w./:@=+-]+$/.test(word) ? word : shellQuoted(word);
}
