import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {build} from 'rolldown';

/** How a piece of work of test/long/children/host.ts ended. */
export type Outcome = {
  /** Of its store. */
  calls: number;
  backup?: string;
  error?: string;
  message?: string;
};

export type HostWork = {
  store: string;
  database: string;
  /** Other hosts know it by this name. */
  name: string;
  what: 'backup' | 'clean' | 'pin' | 'drop' | 'copy';
  /** The store that is copied from. */
  from?: string;
  /** Stop before this call of the store. */
  at?: number;
  /** How many times as fast its clocks are. */
  speed?: number;
};

export type WorkingHost = {
  /** Resolves to false if the work ended without having stopped. */
  stopped: Promise<boolean>;
  proceed: () => void;
  outcome: Promise<Outcome>;
};

/** Hosts as processes, from one file that starts fast. */
export async function buildHosts(): Promise<{start: (work: HostWork) => WorkingHost; remove: () => void}> {
  const folder = mkdtempSync(join(import.meta.dirname, '.hosts-'));
  const script = join(folder, 'host.js');
  await build({
    input: join(import.meta.dirname, '../long/children/host.ts'),
    platform: 'node',
    external: (id) => !/^[./]/.test(id) && !id.startsWith('/'),
    output: {file: script, format: 'esm', codeSplitting: false},
    logLevel: 'silent',
  });
  return {
    start: ({store, database, name, what, from = '', at = 0, speed = 1}) => {
      const child = spawn(process.execPath, [script, store, database, name, String(speed), String(at), what, from], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const lines: string[] = [];
      let errors = '';
      child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
      const reader = createInterface({input: child.stdout});
      const stopped = new Promise<boolean>((resolve) => {
        reader.on('line', (line) => {
          if (line === 'stopped') resolve(true);
          else lines.push(line);
        });
        child.on('close', () => resolve(false));
      });
      const outcome = once(child, 'close').then(([status]) => {
        const last = lines.at(-1);
        if (status !== 0 || last === undefined) throw new Error(`${name} ended with ${status}: ${errors}`);
        return JSON.parse(last) as Outcome;
      });
      // Awaited later.
      outcome.catch(() => {});
      return {stopped, proceed: () => void child.kill('SIGCONT'), outcome};
    },
    remove: () => rmSync(folder, {recursive: true, force: true}),
  };
}
