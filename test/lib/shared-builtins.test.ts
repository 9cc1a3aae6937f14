import {spawnSync} from 'node:child_process';
import {resolve} from 'node:path';
import {pathToFileURL} from 'node:url';
import {expect, test} from 'vitest';

const module = pathToFileURL(resolve(import.meta.dirname, '../../src/lib/shared-builtins.ts')).href;

/** How many more mappings of its program a process of Node has with a thread. */
function mappedByThread(before: string): number {
  const script = `
    import {readFileSync} from 'node:fs';
    import {Worker} from 'node:worker_threads';
    const lines = () => readFileSync('/proc/self/maps', 'utf8').split('\\n');
    const mappings = () => lines().filter((line) => line.endsWith(process.execPath)).length;
    ${before}
    const [alone, thread] = [mappings(), new Worker('setInterval(() => {}, 1000)', {eval: true})];
    thread.on('online', () => {
      console.log(mappings() - alone);
      process.exit();
    });`;
  const {stdout, stderr} = spawnSync(process.execPath, ['--input-type=module', '-e', script], {encoding: 'utf8'});
  expect(stderr).toBe('');
  return Number(stdout);
}

test.skipIf(process.platform !== 'linux')('threads call the builtins of V8 where they are', () => {
  expect(mappedByThread(`(await import('${module}')).sharedBuiltins();`)).toBe(0);
  expect(mappedByThread('')).toBeGreaterThan(0);
});
