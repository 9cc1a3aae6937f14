/** What is to be run, word by word. */
export type Invocation = {
  words: readonly string[];
  /** What it needs in its environment. */
  variables: Readonly<Record<string, string>>;
};

export const unitName = 'bkp-scheduler';

/**
 * systemd takes `%` and `$` as its own in every word, and a backslash and a double quote in a quoted one:
 * systemd.service(5).
 */
function systemdWord(word: string): string {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return `"${escaped}"`;
}

/** An environment assignment knows `%`, but no `$`: systemd.exec(5). */
function systemdVariable(name: string, value: string): string {
  return `"${name}=${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%')}"`;
}

/** The files of a user's unit, by name. Persistent=true is not needed: bkp itself knows what was missed. */
export function systemdUnits({words, variables}: Invocation): ReadonlyMap<string, string> {
  const service = [
    '[Unit]',
    'Description=Backups that are due, by bkp',
    '',
    '[Service]',
    'Type=oneshot',
    ...Object.entries(variables).map(([name, value]) => `Environment=${systemdVariable(name, value)}`),
    `ExecStart=${words.map(systemdWord).join(' ')}`,
    // The workers go on when the command that has started them is done.
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

/** cron ends the command at a `%` that no backslash precedes, whatever quotes stand around it: crontab(5). */
export function crontabLine({words, variables}: Invocation): string {
  const set = Object.entries(variables).map(([name, value]) => `${name}=${shellWord(value)}`);
  const shell = [...set, ...words.map(shellWord)].join(' ');
  return `*/5 * * * * ${shell.replaceAll('%', '\\%')}\n`;
}

function shellWord(word: string): string {
  return /^[\w./:@=+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
