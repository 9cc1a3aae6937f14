import {PassThrough} from 'node:stream';
import type {ReadStream, WriteStream} from 'node:tty';
import type {GlobalFlags} from '../../src/app/deps.ts';
import type {CommandDeps} from '../../src/commands/deps.ts';
import {loadSettings, resolveHome} from '../../src/config/index.ts';
import type {Journal} from '../../src/ops/index.ts';
import {openDirectoryStore} from '../../src/stores/index.ts';
import {vaultLayout} from '../../src/vault/index.ts';
import {bkpFile} from './bkp.ts';
import {journalAt} from './journal.ts';

export type TestDeps = CommandDeps & {
  /** The text written so far. */
  out: () => string;
  err: () => string;
  /** The last status that a command set. */
  status: () => number | undefined;
  interrupt: () => void;
  close: () => void;
};

/** Without a terminal, with a real journal in `home`; nothing of the tester's environment. */
export function testDeps(home: string): TestDeps {
  const [out, err, interrupt] = [collector(), collector(), new AbortController()];
  const flags: GlobalFlags = {color: false};
  const env = {BKP_HOME: home};
  const folders = resolveHome(env, process.platform, home);
  let journal: Journal | undefined;
  let status: number | undefined;
  const deps: TestDeps = {
    env,
    stdin: new PassThrough() as unknown as ReadStream,
    stdout: out.stream,
    stderr: err.stream,
    warn: (text) => void err.stream.write(`bkp: ${text}\n`),
    flags,
    colors: false,
    home: folders,
    cwd: process.cwd(),
    entryFile: bkpFile,
    nowMicros: () => Date.now() * 1000,
    openStore: async (address, {create}) => {
      if (address.kind === 's3') throw new Error('this test has no server');
      return openDirectoryStore({layout: vaultLayout, root: address.root, create});
    },
    probeStore: async () => [],
    startWorker: async () => {
      throw new Error('this test starts no worker');
    },
    journal: async () => {
      journal ??= journalAt(home);
      return journal;
    },
    settings: () => loadSettings({flags, env, home: folders, cwd: process.cwd()}),
    again: async () => deps,
    signal: interrupt.signal,
    interruptible: (work) => work(deps),
    exitWith: (given) => {
      status = given;
    },
    out: out.text,
    err: err.text,
    status: () => status,
    interrupt: () => interrupt.abort(),
    close: () => journal?.close(),
  };
  return deps;
}

function collector() {
  const stream = new PassThrough().setEncoding('utf8');
  let text = '';
  stream.on('data', (chunk: string) => {
    text += chunk;
  });
  // Reads what a command has just written, before the data event.
  const drained = () => {
    text += stream.read() ?? '';
    return text;
  };
  return {stream: stream as unknown as WriteStream, text: drained};
}
