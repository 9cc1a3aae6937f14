import {mkdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {makeShop} from '../src/commands/demo/shop.ts';
import {median, run} from './measure.ts';
import {bkp, bkpCommand} from './tools.ts';

const pairs = 25;

/** Whole-process times, in pairs with a bare Node, and the time from BACKUP until the shell prompt returns. */
export async function startup(work: string): Promise<void> {
  const place = {folder: join(work, 'startup'), database: join(work, 'startup.db')};
  rmSync(place.folder, {recursive: true, force: true});
  rmSync(place.database, {force: true});
  mkdirSync(place.folder, {recursive: true});
  makeShop(place.database, 500);
  await bkp.prepare(place);
  await bkp.full(place);
  const bare = () => run([process.execPath, '-e', '0']);
  const commands: [string, () => ReturnType<typeof run>][] = [
    ['bkp operation list', () => bkpCommand(place, ['operation', 'list'])],
    [
      'bkp sql --wait "BACKUP shop INCREMENTAL" without changes',
      () => bkpCommand(place, ['sql', '--wait', 'BACKUP shop INCREMENTAL']),
    ],
    ['bkp sql "BACKUP shop" until the prompt is back', () => bkpCommand(place, ['sql', 'BACKUP shop'])],
  ];
  console.log('\n| command | ms | against node -e 0 (pairs) |\n| --- | --- | --- |');
  for (const [name, command] of commands) {
    const walls: number[] = [];
    const ratios: number[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      const wall = (await command()).wallSeconds;
      if (name.includes('prompt')) await bkpCommand(place, ['operation', 'wait', 'last']);
      walls.push(wall);
      ratios.push(wall / (await bare()).wallSeconds);
    }
    console.log(`| ${name} | ${(median(walls) * 1000).toFixed(0)} | ${median(ratios).toFixed(2)} |`);
  }
}
