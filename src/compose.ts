import {homedir} from 'node:os';
import {resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import {Worker} from 'node:worker_threads';
import type {Deps, GlobalFlags} from './app/deps.ts';
import {colorsWanted} from './commands/colors.ts';
import type {CommandDeps} from './commands/deps.ts';
import {closeUsualHome, loadSettings, makeInHome, resolveHome, type S3Address, type Settings} from './config/index.ts';
import type {ExitStatus} from './errors/index.ts';
import type {Journal, Operation} from './ops/index.ts';

export type RealDeps = CommandDeps & {close: () => void};

/** The process's own streams, clock, environment and folders. */
export async function openRealDeps(
  flags: GlobalFlags,
  exitWith: (status: ExitStatus) => void,
  shared?: Pick<Deps, 'journal'> & {signal?: AbortSignal; store?: string | undefined},
): Promise<RealDeps> {
  const env = {
    ...process.env,
    ...(flags.home === undefined ? {} : {BKP_HOME: resolve(flags.home)}),
    ...(shared?.store === undefined ? {} : {BKP_STORE: shared.store}),
  };
  const home = resolveHome(env, process.platform, homedir());
  const nowMicros = () => Date.now() * 1000;
  let journal: Promise<Journal> | undefined;
  let settings: Promise<Settings> | undefined;
  let signal: AbortSignal | undefined;
  let close = () => {};

  const openJournalOnce = async () => {
    const [{openJournal}, {systemProcesses}] = await Promise.all([
      import('./ops/index.ts'),
      import('./lib/processes.ts'),
    ]);
    const cleaning: Promise<void>[] = [];
    const onReaped = (operation: Operation) =>
      cleaning.push(cleanAfterDeath(deps, operation), tellOfDeath(deps, operation));
    if (closeUsualHome(home)) {
      deps.warn(`others could look into ${home.dir}; now it is open to you alone`);
    }
    const opened = openJournal({...home, file: home.journalFile, nowMicros, processes: systemProcesses, onReaped});
    close = () => opened.close();
    await opened.reap();
    await Promise.all(cleaning);
    return opened;
  };

  /** Keys that were given for a server are sent to no other. Without any, the client looks where the AWS tools look. */
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
    warn: (text) => void process.stderr.write(`bkp: ${text}\n`),
    flags,
    colors: colorsWanted({flags, env, isTTY: process.stdout.isTTY}),
    home,
    get cwd() {
      return process.cwd();
    },
    // As far away from dist/, where all is bundled, as from src/.
    entryFile: fileURLToPath(new URL('../bin/bkp.js', import.meta.url)),
    nowMicros,
    openStore: async (address, options) => {
      const stores = await import('./stores/index.ts');
      if (address.kind === 'directory') {
        if (options.create) makeInHome(home, address.root);
        return stores.openDirectoryStore({root: address.root, create: options.create});
      }
      return stores.openS3Store({...options, ...(await withCredentials(address))});
    },
    probeStore: async (address) => {
      const stores = await import('./stores/index.ts');
      if (address.kind === 'directory') return stores.probeDirectory(address.root);
      return stores.probeS3(await withCredentials(address));
    },
    startWorker: async (operation) => (await import('./app/workers/launch.ts')).launchWorker(deps, operation),
    startKeeper: (start) => {
      const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
      // Beside this file: as a source here, and built in dist.
      return new Worker(new URL(`keeper-thread.${ending}`, import.meta.url), {
        workerData: {...start, flags},
        // It holds next to nothing.
        resourceLimits: {maxYoungGenerationSizeMb: 2},
      });
    },
    journal: () => (journal ??= shared?.journal() ?? openJournalOnce()),
    settings: () => (settings ??= loadSettings({flags, env, home, cwd: process.cwd()})),
    again: ({profile, store} = {}) =>
      openRealDeps(profile === undefined ? flags : {...flags, profile}, exitWith, {journal: deps.journal, store}),
    get signal() {
      signal ??= shared?.signal ?? firstInterrupt(['SIGINT', 'SIGTERM']).signal;
      return signal;
    },
    interruptible: async (work) => {
      const own = firstInterrupt(['SIGINT']);
      try {
        return await work(await openRealDeps(flags, exitWith, {journal: deps.journal, signal: own.signal}));
      } finally {
        own.release();
      }
    },
    exitWith,
    close: () => close(),
  };
  return deps;
}

/** What cannot be cleaned now only takes up space; the operation's own end was told in the journal. */
async function cleanAfterDeath(deps: Deps, operation: Operation): Promise<void> {
  const {cleanAfter} = await import('./app/orders/clean-after.ts');
  await cleanAfter(deps, operation).catch(() => {});
}

/** Whoever is to hear of the end hears of it from a process of its own: this one has other things to do. */
async function tellOfDeath(deps: Deps, operation: Operation): Promise<void> {
  const {launchTeller} = await import('./app/workers/launch-teller.ts');
  await launchTeller(deps, operation);
}

/** Listens only once: the second Ctrl-C finds no listener and ends the process, as everywhere. */
function firstInterrupt(names: readonly NodeJS.Signals[]): {signal: AbortSignal; release: () => void} {
  const interrupt = new AbortController();
  const abort = () => interrupt.abort();
  for (const name of names) process.once(name, abort);
  const release = () => {
    for (const name of names) process.off(name, abort);
  };
  return {signal: interrupt.signal, release};
}
