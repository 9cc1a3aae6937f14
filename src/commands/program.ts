import {Command, type CommanderError} from 'commander';
import type {GlobalFlags} from '../app/deps.ts';
import type {Grammar} from './completion/candidates.ts';
import type {CommandDeps} from './deps.ts';
import {helpTail} from './help.ts';
import {usageError} from './usage-error.ts';

/** A first word of the command line. Its code is loaded only when it is used. */
export type CommandGroup = {
  name: string;
  summary: string;
  /** Not in the help: only programs call it. */
  hidden?: boolean;
  load: () => Promise<{command: (deps: CommandDeps) => Command}>;
};

export const commandGroups: readonly CommandGroup[] = [
  {
    name: 'sql',
    summary: 'run statements: CREATE BACKUP COLLECTION, BACKUP, RESTORE, VERIFY, …',
    load: () => import('./sql/index.ts'),
  },
  {
    name: 'collection',
    summary: 'list collections and their backups',
    load: () => import('./collection/index.ts'),
  },
  {
    name: 'diff',
    summary: 'compare two backups of a collection, or a backup with the database',
    load: () => import('./diff/index.ts'),
  },
  {
    name: 'export',
    summary: 'write a backup to a plain file: SQLite, SQL for psql, CSV or JSON lines',
    load: () => import('./export/index.ts'),
  },
  {
    name: 'retention',
    summary: 'show which backups the next cleanup removes, and why',
    load: () => import('./retention/index.ts'),
  },
  {
    name: 'scheduler',
    summary: 'run scheduled backups',
    load: () => import('./scheduler/index.ts'),
  },
  {
    name: 'schedule',
    summary: 'show when the next backups run, and install a timer',
    load: () => import('./schedule/index.ts'),
  },
  {
    name: 'operation',
    summary: 'list, watch, wait for, throttle, cancel and forget operations',
    load: () => import('./operation/index.ts'),
  },
  {
    name: 'config',
    summary: 'show and change settings and profiles',
    load: () => import('./config/index.ts'),
  },
  {
    name: 'completion',
    summary: 'print a completion script for bash, zsh or fish',
    load: () => import('./completion/index.ts'),
  },
  {
    name: '__complete',
    summary: 'print completions, for the completion scripts',
    hidden: true,
    load: async () => {
      const {completeCommand} = await import('./completion/complete.ts');
      return {command: (deps) => completeCommand(deps, grammar())};
    },
  },
  {
    name: 'restore',
    summary: 'restore tables of a collection, or a whole database',
    load: () => import('./restore/index.ts'),
  },
  {
    name: 'report',
    summary: 'print the report of a restore drill or of a comparison with the source',
    load: () => import('./report/index.ts'),
  },
  {
    name: 'store',
    summary: 'check the stores that hold backups',
    load: () => import('./store/index.ts'),
  },
  {
    name: 'vault',
    summary: 'make a vault, and manage who can open an encrypted one',
    load: () => import('./vault/index.ts'),
  },
  {
    name: 'doctor',
    summary: 'check Node, home, profile, source and stores',
    load: () => import('./doctor/index.ts'),
  },
  {
    name: 'metrics',
    summary: 'print metrics for Prometheus: age of backups, failures',
    load: () => import('./metrics/index.ts'),
  },
  {
    name: 'demo',
    summary: 'run a demo on a small shop database',
    load: () => import('./demo/index.ts'),
  },
  {
    name: 'worker',
    summary: 'run one queued operation',
    hidden: true,
    load: () => import('./worker/index.ts'),
  },
];

/** What completion offers: the groups that appear in the help. */
function grammar(): Grammar {
  const shown = commandGroups.filter(({hidden}) => !hidden);
  return {
    root: rootCommand(),
    groupNames: shown.map(({name}) => name),
    loadGroup: async (deps, name) => (await shown.find((group) => group.name === name)?.load())?.command(deps),
  };
}

export type ProgramParts = {
  groups?: readonly CommandGroup[];
  /** Called once, after the global options are parsed. */
  openDeps: (flags: GlobalFlags) => Promise<CommandDeps>;
  write: (text: string) => void;
  /** Width of the help; default: 80. */
  columns: number | undefined;
  version: () => string;
};

/**
 * Loads only the group that the arguments name, and runs its command.
 * @throws BkpError `USAGE` for wrong arguments, and whatever the command throws
 */
export async function runProgram(given: readonly string[], parts: ProgramParts): Promise<void> {
  const args = given.map(notAnOption);
  const groups = parts.groups ?? commandGroups;
  try {
    const program = rootCommand();
    govern(program, parts);
    const asked = program.parseOptions([...args]).operands;
    // Commander gives a negatable option its default only in `parse`.
    const flags = {...program.opts<GlobalFlags & {version?: boolean}>()};
    flags.color ??= true;
    if (flags.version) return parts.write(`${parts.version()}\n`);

    const name = asked[0] === 'help' ? asked[1] : asked[0];
    if (asked[0] === 'help' && name !== undefined && !groups.some((group) => group.name === name)) {
      program.error(`unknown command '${name}'`);
    }
    for (const group of groups) {
      const command =
        group.name === name
          ? (await group.load()).command(await parts.openDeps(flags))
          : new Command(group.name).summary(group.summary);
      govern(command, parts);
      program.addCommand(command, {hidden: group.hidden ?? false});
    }
    if (asked[0] === 'help' && name !== undefined) return commandAt(program, asked.slice(1)).help();
    await program.parseAsync([...args], {from: 'user'});
  } catch (error) {
    if (!isHelp(error)) throw error;
  }
}

/** The command that `help` names word by word: `operation list`. */
function commandAt(from: Command, words: readonly string[]): Command {
  return words.reduce((above, word) => {
    const found = above.commands.find((command) => command.name() === word);
    return found ?? above.error(`unknown command '${word}'`);
  }, from);
}

/**
 * Statements may begin with a `--` comment, and a time may be `-1 day`: both look like options. Option names contain no
 * blank, and a blank before a comment or a time has no meaning.
 */
function notAnOption(word: string): string {
  return /^--[^=]*\s|^-\d+(\.\d+)?\s/.test(word) ? ` ${word}` : word;
}

/** The root command: only the global options. */
export function rootCommand(): Command {
  return new Command('bkp')
    .usage('[options] <command>')
    .description('Backup collections and long-running operations, as SQL statements, for open databases.')
    .option('--source <source>', 'database to back up and to restore into, e.g. sqlite::path=./app.db')
    .option('--cluster <dir>', "directory that STORAGE = 'cluster' names")
    .option('--store <store>', 'store to use: s3, cluster, or an address, e.g. s3::bucket=backups;region=eu-west-1')
    .option('--limit-upload <rate>', 'upload limit per second for an object store, e.g. 10MB')
    .option('--limit-download <rate>', 'download limit per second for an object store, e.g. 10MB')
    .option('--profile <name>', 'profile to use instead of the active one')
    .option('--home <dir>', 'folder for journal, configuration, logs and caches')
    .option('--no-color', 'no colours, even on a terminal')
    .option('--version', 'print the version')
    .helpCommand('help [command]', 'show what a command does')
    .addHelpText('after', helpTail(['bkp sql "BACKUP shop"', 'bkp operation list']));
}

/** Keeps commander from printing errors and ending the process: errors become BkpErrors, help goes to stdout. */
function govern(command: Command, {write, columns}: ProgramParts): void {
  command
    .helpOption('-h, --help', 'show this help')
    .configureOutput({
      writeOut: write,
      writeErr: write,
      outputError: () => {},
      getOutHelpWidth: () => columns ?? 80,
      getErrHelpWidth: () => columns ?? 80,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride((error) => {
      throw isHelp(error) ? error : usageError(command, error);
    });
  for (const child of command.commands) govern(child, {write, columns} as ProgramParts);
}

const helpCodes = ['commander.help', 'commander.helpDisplayed'];

function isHelp(error: unknown): boolean {
  return helpCodes.includes((error as CommanderError).code);
}
