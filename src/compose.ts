import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {Worker} from 'node:worker_threads';
import type {Deps, GlobalFlags} from './app/deps.ts';
import type {KeyChain} from './app/key-chain.ts';
import {colorsWanted} from './commands/colors.ts';
import type {CommandDeps} from './commands/deps.ts';
import {
  absolutePath,
  closeUsualHome,
  type Home,
  loadSettings,
  makeInHome,
  resolveHome,
  type S3Address,
  type Settings,
  userHome,
} from './config/index.ts';
import type {ExitStatus} from './errors/index.ts';
import {systemProcesses} from './lib/processes.ts';
import {withoutVaultSecrets} from './lib/vault-secrets.ts';
import {statusLine, wrappedNotice} from './lib/wrap.ts';
import {type Journal, type Operation, openJournal, type WaitingWorker} from './ops/index.ts';

export type RealDeps = CommandDeps & {close: () => void};

/** Dependencies built from the process's own streams, clock, environment and folders. */
export async function openRealDeps(
  flags: GlobalFlags,
  exitWith: (status: ExitStatus) => void,
  shared?: Pick<Deps, 'journal' | 'env'> & {keyChain: KeyChain; signal?: AbortSignal; store?: string | undefined},
): Promise<RealDeps> {
  const env = {
    ...(shared?.env ?? takeEnvironment()),
    ...(flags.home === undefined ? {} : {BKP_HOME: absolutePath(flags.home, process.cwd(), '--home')}),
    ...(shared?.store === undefined ? {} : {BKP_STORE: shared.store}),
  };
  const home = resolveHome(env, process.platform, userHome());
  const nowMicros = () => Date.now() * 1000;
  const keyChain: KeyChain = shared?.keyChain ?? {slots: new Map()};
  let journal: Promise<Journal> | undefined;
  let settings: Promise<Settings> | undefined;
  let signal: AbortSignal | undefined;
  let worker: Promise<WaitingWorker | undefined> | undefined;
  let close = () => {};

  const openJournalOnce = async () => {
    const cleaning: Promise<void>[] = [];
    const onReaped = (operation: Operation) => {
      const clean = async () => {
        const kept = await cleanAfterDeath(deps, operation);
        if (kept !== undefined) await opened.addNotice(operation.number, kept);
      };
      cleaning.push(clean(), tellOfEnd(deps, operation));
    };
    if (closeUsualHome(home)) {
      deps.warn(`other users could read ${home.dir}; now only you can`);
    }
    const opened = openJournal({...home, file: home.journalFile, nowMicros, processes: systemProcesses, onReaped});
    close = () => opened.close();
    await opened.reap();
    await Promise.all(cleaning);
    await removeScratch(home, nowMicros() / 1000);
    return opened;
  };

  /** Keys are sent only to the server they were given for. Without keys, the client searches where the AWS tools do. */
  const withCredentials = async (address: S3Address) => {
    const {objectStore} = await deps.settings();
    const isSameServer = objectStore?.address.kind === 's3' && objectStore.address.endpoint === address.endpoint;
    return isSameServer && objectStore.credentials !== undefined
      ? {...address, credentials: objectStore.credentials}
      : address;
  };

  const deps: RealDeps = {
    env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    // A terminal has a cursor that returns to the beginning of the line.
    showProgress: process.stderr.isTTY
      ? (line = '') => void process.stderr.write(statusLine(line, process.stderr.columns))
      : undefined,
    warn: (text) => {
      const {isTTY, columns} = process.stderr;
      process.stderr.write(wrappedNotice(text, isTTY ? columns : undefined));
    },
    flags,
    colors: colorsWanted({flags, env, isTTY: process.stdout.isTTY}),
    home,
    get cwd() {
      return process.cwd();
    },
    // The relative path is the same from dist/, which holds the bundle, as from src/.
    entryFile: fileURLToPath(new URL('../bin/bkp.js', import.meta.url)),
    nowMicros,
    openStore: async (address, options) => {
      const stores = await import('./stores/index.ts');
      if (address.kind === 'directory') {
        if (options.create) makeInHome(home, address.root);
        const {vaultLayout: layout} = await import('./vault/index.ts');
        return stores.openDirectoryStore({root: address.root, create: options.create, layout});
      }
      return stores.openS3Store({...options, ...(await withCredentials(address))});
    },
    probeStore: async (address) => {
      const stores = await import('./stores/index.ts');
      if (address.kind === 'directory') return stores.probeDirectory(address.root);
      return stores.probeS3(await withCredentials(address));
    },
    keyChain,
    askSecret: async (question) => (await import('./commands/ask-secret.ts')).askSecret(question),
    startWorker: async (operation) => {
      const {launchWorker} = await import('./app/workers/launch.ts');
      const prepared = worker;
      worker = undefined;
      await launchWorker(deps, operation, prepared);
    },
    prepareWorker: () => {
      const prepared = import('./app/workers/launch.ts').then(({prepareWorker}) => prepareWorker(deps));
      // The operation tries again, and has the error then.
      prepared.catch(() => {});
      worker = prepared;
      return () => {
        if (worker === prepared) worker = undefined;
        void prepared.then((waiting) => waiting?.dismiss()).catch(() => {});
      };
    },
    tellEnd: (operation) => tellOfEnd(deps, operation),
    startKeeper: (start) => {
      const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
      // Beside this file: a source here, the built file in dist.
      return new Worker(new URL(`keeper-thread.${ending}`, import.meta.url), {
        workerData: {...start, flags},
        // It needs little memory.
        resourceLimits: {maxYoungGenerationSizeMb: 2},
      });
    },
    journal: () => (journal ??= shared?.journal() ?? openJournalOnce()),
    settings: () => (settings ??= loadSettings({flags, env, home, cwd: process.cwd()})),
    again: ({profile, store} = {}) =>
      openRealDeps(profile === undefined ? flags : {...flags, profile}, exitWith, {
        env,
        journal: deps.journal,
        keyChain,
        store,
      }),
    get signal() {
      signal ??= shared?.signal ?? firstInterrupt(['SIGINT', 'SIGTERM']).signal;
      return signal;
    },
    interruptible: async (work) => {
      const own = firstInterrupt(['SIGINT']);
      try {
        return await work(
          await openRealDeps(flags, exitWith, {journal: deps.journal, env, keyChain, signal: own.signal}),
        );
      } finally {
        own.release();
      }
    },
    exitWith,
    close: () => close(),
  };
  return deps;
}

/** The environment of this process. Its children do not inherit the secrets of vaults. */
function takeEnvironment(): Record<string, string | undefined> {
  const env = {...process.env};
  const kept = withoutVaultSecrets(env);
  for (const name of Object.keys(env)) if (!(name in kept)) delete process.env[name];
  return env;
}

/** What cannot be removed now only takes up space; the journal already has the operation's end. */
async function cleanAfterDeath(deps: Deps, operation: Operation): Promise<string | undefined> {
  const {cleanAfter} = await import('./app/orders/clean-after.ts');
  return cleanAfter(deps, operation).catch(() => undefined);
}

/** What commands that were killed left there. */
async function removeScratch({scratchDir}: Home, nowMs: number): Promise<void> {
  if (!existsSync(scratchDir)) return;
  const {removeAbandoned} = await import('./app/places/scratch-folder.ts');
  removeAbandoned(scratchDir, nowMs);
}

/** A separate process sends the notifications, so that this command does not wait for them. */
async function tellOfEnd(deps: Deps, operation: Operation): Promise<void> {
  const {launchNotifier} = await import('./app/workers/launch-notifier.ts');
  await launchNotifier(deps, operation);
}

/** Listens only once: the second Ctrl-C finds no listener and ends the process, as in any program. */
function firstInterrupt(names: readonly NodeJS.Signals[]): {signal: AbortSignal; release: () => void} {
  const interrupt = new AbortController();
  const release = () => {
    for (const name of names) process.off(name, abort);
  };
  const abort = () => {
    interrupt.abort();
    // Later than now: a live view ends the process if its own listener finds no other while a signal is delivered.
    setImmediate(release);
  };
  for (const name of names) process.on(name, abort);
  return {signal: interrupt.signal, release};
}
