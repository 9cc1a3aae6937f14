import {spawn} from 'node:child_process';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import type {TestHome} from './home.ts';

export type RaceAction = 'create' | 'create-shared' | 'claim' | 'reap';

/**
 * Lets real processes do the same to one journal at the same moments.
 * @returns for each process the numbers of the operations that it got
 */
export async function race(
  home: TestHome,
  {processes, rounds, action}: {processes: number; rounds: number; action: RaceAction},
): Promise<number[][]> {
  // All have started by then, and wait for this moment with open eyes.
  const startAtMs = Date.now() + 1_000;
  const script = join(import.meta.dirname, 'children', 'racer.ts');
  const args = [script, home.file, home.logsDir, action, String(rounds), String(startAtMs)];
  const racers = Array.from({length: processes}, async () => {
    const racer = spawn(process.execPath, args, {stdio: ['ignore', 'pipe', 'inherit']});
    return JSON.parse(await text(racer.stdout)) as number[];
  });
  return Promise.all(racers);
}
