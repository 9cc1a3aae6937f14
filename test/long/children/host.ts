/**
 * node host.js STORE DATABASE NAME SPEED AT WHAT [FROM]
 *
 * One piece of work on the collection c (WHAT: `backup`, `clean`, `pin` or `drop` of the oldest backup, `copy` from the
 * store FROM) by a host called NAME, whose processes other hosts
 * cannot see. Its clocks and timers run SPEED times as fast. Right before the AT-th store call (0: never) it prints
 * `stopped` and stops itself (SIGSTOP); when it continues, its clocks show ten minutes more. It prints its outcome as
 * JSON.
 */

import {writeSync} from 'node:fs';
import {
  cleanUp,
  copyCollection,
  listBackups,
  pinBackup,
  planBackup,
  takeBackup,
} from '../../../src/collections/index.ts';
import {BkpError} from '../../../src/errors/index.ts';
import {type Clock, systemClock} from '../../../src/lib/clock.ts';
import {openSource} from '../../../src/sources/index.ts';
import {openDirectoryStore} from '../../../src/stores/index.ts';
import {openVault} from '../../../src/vault/index.ts';
import {beforeCall} from '../../helpers/crashing-store.ts';
import type {Outcome} from '../../helpers/hosts.ts';

const [root = '', path = '', name = '', speedText, at, what, from = ''] = process.argv.slice(2);
const speed = Number(speedText);
let movedMs = 0;
const clock: Clock = {
  wallMs: () => systemClock.wallMs() + movedMs,
  monotonicMs: () => systemClock.monotonicMs() * speed + movedMs,
  sleep: (ms, signal) => systemClock.sleep(ms / speed, signal),
  every: (ms, work) => systemClock.every(ms / speed, work),
};
const pause = beforeCall(Number(at), () => {
  writeSync(1, 'stopped\n');
  process.kill(process.pid, 'SIGSTOP');
  // The signal may arrive a little later.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  movedMs = 10 * 60_000;
});
const vault = await openVault({
  store: pause.wrap(await openDirectoryStore({root, create: false})),
  clock,
  graceMs: 0,
  host: {name, pid: process.pid, space: undefined, started: undefined, isAlive: () => true},
});
const tools = {
  vault,
  nowMicros: () => clock.wallMs() * 1000,
  signal: new AbortController().signal,
  progress: () => {},
  notice: () => {},
  sleep: clock.sleep,
};

async function work(): Promise<string | undefined> {
  if (what === 'clean') {
    await cleanUp(tools, `${name}/clean`, {collection: 'c'});
    return undefined;
  }
  if (what === 'copy') {
    const source = await openVault({store: await openDirectoryStore({root: from, create: false})});
    const request = {collection: 'c', storage: 'cluster', operation: `${name}/copy`} as const;
    await copyCollection({...tools, from: source, to: vault}, request);
    source.close();
    return undefined;
  }
  if (what === 'pin' || what === 'drop') {
    const [oldest] = await listBackups(vault, 'c');
    const drop = oldest!.name;
    if (what === 'pin') return (await pinBackup(tools, {collection: 'c', point: drop})).backup;
    await cleanUp(tools, `${name}/drop`, {collection: 'c', drop, readerOf: () => undefined});
    return undefined;
  }
  const source = await openSource({scheme: 'sqlite', path});
  const backup = await planBackup(vault, source, {collection: 'c', type: 'full', nowMicros: tools.nowMicros()});
  const plan = {collection: 'c', type: 'full', name: backup, operation: `${name}/backup`} as const;
  return (await takeBackup({...tools, source}, plan)).backup;
}

const outcome: Outcome = await work().then(
  (backup) => ({calls: pause.calls(), ...(backup === undefined ? {} : {backup})}),
  (error: unknown) => {
    if (!(error instanceof BkpError)) throw error;
    return {calls: pause.calls(), error: error.code, message: error.message};
  },
);
vault.close();
writeSync(1, `${JSON.stringify(outcome)}\n`);
