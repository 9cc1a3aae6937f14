import {join} from 'node:path';
import {styleText} from 'node:util';
import {BkpError} from '../../errors/index.ts';
import {shellQuoted} from '../../lib/text.ts';
import type {CommandDeps} from '../deps.ts';

/** Runs bkp as a user does, and prints each command with its output. */
export type Stage = {
  title: (text: string) => void;
  say: (text: string) => void;
  good: (text: string) => string;
  /** Prints a command of another program. */
  command: (text: string) => void;
  /** Runs bkp and prints it. @throws BkpError when it does not exit with 0 */
  bkp: (...args: string[]) => Promise<void>;
  /** Runs bkp without printing it. @returns its standard output */
  quietly: (...args: string[]) => Promise<string>;
};

/** Uses its own home, so the user's profiles and journal are not touched. */
export function openStage(deps: CommandDeps, folder: string): Stage {
  const paint = (style: Parameters<typeof styleText>[0], text: string) =>
    deps.colors ? styleText(style, text, {validateStream: false}) : text;
  const write = (text: string) => deps.stdout.write(`${text}\n`);
  const {
    BKP_SOURCE: _source,
    BKP_CLUSTER: _cluster,
    BKP_STORE: _store,
    BKP_STORE_FILE: _file,
    BKP_PROFILE: _profile,
    ...env
  } = deps.env;

  const run = async (args: readonly string[]) => {
    const {execa} = await import('execa');
    const done = await execa(process.execPath, [deps.entryFile, ...args], {
      cwd: folder,
      env: {...env, BKP_HOME: join(folder, 'home')},
      extendEnv: false,
      all: true,
      reject: false,
    });
    if (done.exitCode !== 0) {
      throw new BkpError('INTERNAL', `the demo's command failed: bkp ${args.join(' ')}`, {cause: done.all});
    }
    return done;
  };

  return {
    title: (text) => write(`\n${paint(['bold', 'cyan'], `── ${text}`)}`),
    say: (text) => write(text),
    good: (text) => paint('green', text),
    command: (text) => write(paint('bold', `$ ${text}`)),
    bkp: async (...args) => {
      write(paint('bold', `$ bkp ${args.map(shellWord).join(' ')}`));
      const {all} = await run(args);
      if (all !== '') write(all);
    },
    quietly: async (...args) => (await run(args)).stdout,
  };
}

function shellWord(word: string): string {
  if (/^[A-Za-z0-9_./:=,-]+$/.test(word)) return word;
  return word.includes('`') ? shellQuoted(word) : `"${word}"`;
}
