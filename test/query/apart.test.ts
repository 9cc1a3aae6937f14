import {execFileSync, spawn} from 'node:child_process';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {systemProcesses} from '../../src/lib/processes.ts';
import {eventually} from '../helpers/eventually.ts';

const child = join(import.meta.dirname, 'children/asks.ts');

test.skipIf(process.platform === 'win32')('the process of a SELECT ends with its parent', async () => {
  const asking = spawn(process.execPath, [child], {stdio: 'ignore'});
  const children = () => execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], {encoding: 'utf8'}).split('\n');
  const working = await eventually(() => {
    const line = children().find(
      (each) => each.trim().split(/\s+/)[1] === String(asking.pid) && !each.includes(' ps '),
    );
    if (line === undefined) throw new Error('no SELECT runs yet');
    return Number(line.trim().split(/\s+/)[0]);
  });
  asking.kill('SIGKILL');
  // A zombie counts as ended.
  await eventually(() => expect(systemProcesses.identify(working)).toBeUndefined());
});
