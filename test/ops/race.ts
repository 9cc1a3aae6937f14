import {spawn} from 'node:child_process';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import type {TestHome} from './home.ts';

export type RaceAction = 'create' | 'create-shared' | 'claim' | 'reap';

/**
 * Runs the same action in several real processes on one journal at the same time.
 * @returns for each process the numbers of the operations that it won
 */
export async function race(
  home: TestHome,
  {processes, rounds, action}: {processes: number; rounds: number; action: RaceAction},
): Promise<number[][]> {
  // All have started by then, and busy-wait for this time.
  const startAtMs = Date.now() + 1_000;
  const script = join(import.meta.dirname, 'children', 'racer.ts');
  const args = [script, home.file, home.logsDir, action, String(rounds), String(startAtMs)];
  const racers = Array.from({length: processes}, async () => {
    const racer = spawn(process.execPath, args, {stdio: ['ignore', 'pipe', 'inherit']});
    return JSON.parse(await text(racer.stdout)) as number[];
  });
  return Promise.all(racers);
}
