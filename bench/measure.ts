import {execFileSync, spawn} from 'node:child_process';
import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

/** One run of one command; CPU and memory are absent where the machine does not report them. */
export type Run = {wallSeconds: number; cpuSeconds?: number; peakMiB?: number; stdout: string};

export type RunOptions = {cwd?: string; env?: Record<string, string>};

const timeProgram = '/usr/bin/time';

/** Runs a command to its end. @throws Error with its output when it fails */
export async function run(command: readonly string[], {cwd, env}: RunOptions = {}): Promise<Run> {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-bench-'));
  const figures = join(folder, 'time');
  const timed = existsSync(timeProgram) ? [timeProgram, '-f', '%U %S %M', '-o', figures, ...command] : [...command];
  const started = performance.now();
  try {
    const {status, output} = await finished(timed, {
      ...(cwd === undefined ? {} : {cwd}),
      env: {...process.env, ...env},
    });
    const wallSeconds = (performance.now() - started) / 1000;
    if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}:\n${output}`);
    if (!existsSync(figures)) return {wallSeconds, stdout: output};
    const [user, system, peakKiB] = readFileSync(figures, 'utf8').trim().split(' ').map(Number);
    return {wallSeconds, cpuSeconds: user! + system!, peakMiB: peakKiB! / 1024, stdout: output};
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

function finished(command: readonly string[], options: {cwd?: string; env: NodeJS.ProcessEnv}) {
  return new Promise<{status: number | null; output: string}>((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), {...options, stdio: ['ignore', 'pipe', 'pipe']});
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.on('error', reject);
    child.on('close', (status) => resolve({status, output}));
  });
}

export function has(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], {stdio: 'ignore'});
    return true;
  } catch {
    return false;
  }
}

/** Bytes of all files below a folder. */
export function folderBytes(folder: string): number {
  return readdirSync(folder, {recursive: true, withFileTypes: true})
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
