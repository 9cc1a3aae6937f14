import {cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import type {PassThrough} from 'node:stream';
import {afterAll, beforeAll, expect, onTestFinished, test, vi} from 'vitest';
import {execute} from '../../src/app/statements/execute.ts';
import type {CommandDeps} from '../../src/commands/deps.ts';
import {runProgram} from '../../src/commands/program.ts';
import {runWorker} from '../../src/commands/worker/index.ts';
import {loadSettings} from '../../src/config/index.ts';
import {asPlain, errorCodes, renderError} from '../../src/errors/index.ts';
import type {OperationNumber} from '../../src/ops/index.ts';
import {parse} from '../../src/sql/index.ts';
import {openDirectoryStore} from '../../src/stores/index.ts';
import {hashHex} from '../../src/vault/format/hash.ts';
import {newKey, parseSecret, unlock} from '../../src/vault/index.ts';
import {newRawKey, newRoot, ringKey, sealRing} from '../../src/vault/keys/ring.ts';
import {filesIn} from '../helpers/canaries.ts';
import {testDeps} from '../helpers/deps.ts';

// Every way in which a vault does not open, with every command that opens one.

let isMissing = false;
vi.mock('../../src/app/places/optional-package.ts', async (original) => {
  const real = await original<typeof import('../../src/app/places/optional-package.ts')>();
  const absent = () => Promise.reject(Object.assign(new Error('no package'), {code: 'ERR_MODULE_NOT_FOUND'}));
  const optionalPackage: typeof real.optionalPackage = (name, what, load) =>
    real.optionalPackage(name, what, isMissing ? absent : load);
  return {...real, optionalPackage};
});

const right = newKey().code;
const wrong = newKey().code;
const withRight = {BKP_PASSWORD: right};

/** Homes and stores in each state, made once. */
const made = mkdtempSync(join(tmpdir(), 'bkp-refusals-'));
afterAll(() => rmSync(made, {recursive: true, force: true}));
const database = join(made, 'app.db');
let vaultId: string;

type Env = Record<string, string>;
type Said = {status: number; out: string; err: string};

function depsIn(folder: string, env: Env): CommandDeps & ReturnType<typeof testDeps> {
  const base = testDeps(join(folder, 'home'));
  const flags = {color: false, cluster: join(folder, 'store'), source: database};
  const all = {...base.env, ...env};
  const settings = () => loadSettings({flags, env: all, home: base.home, cwd: folder});
  const deps = {
    ...base,
    env: all,
    flags,
    cwd: folder,
    keyChain: {slots: new Map()},
    settings,
    startWorker: async () => {},
  };
  return Object.assign(deps, {again: async () => deps});
}

async function bkp(folder: string, args: readonly string[], env: Env, input = ''): Promise<Said> {
  const deps = depsIn(folder, env);
  (deps.stdin as unknown as PassThrough).end(input);
  const parts = {openDeps: async () => deps, write: () => {}, columns: 80, version: () => ''};
  let failure: {status: number; text: string} | undefined;
  try {
    await runProgram(args, parts);
  } catch (error) {
    const plain = asPlain(error);
    failure = {status: errorCodes[plain.code as keyof typeof errorCodes].exit, text: renderError(plain)};
  }
  deps.close();
  return {status: failure?.status ?? deps.status() ?? 0, out: deps.out(), err: deps.err() + (failure?.text ?? '')};
}

async function done(folder: string, args: readonly string[], env: Env = withRight): Promise<string> {
  const {status, out, err} = await bkp(folder, args, env);
  if (status !== 0) throw new Error(`${args.join(' ')}: ${err}`);
  return out;
}

/** Gives a statement; its operation stays queued. */
async function queued(folder: string, statement: string) {
  const deps = depsIn(folder, {BKP_PASSWORD: right});
  const {operation} = await execute(deps, parse(statement)[0]!);
  deps.close();
  return {number: operation!.number, keyChain: deps.keyChain!};
}

async function worked(folder: string, number: OperationNumber, keyChain?: CommandDeps['keyChain']) {
  const deps = depsIn(folder, {});
  await runWorker(keyChain === undefined ? deps : {...deps, keyChain}, {number});
  const {state} = await (await deps.journal()).get(number);
  deps.close();
  if (state.name !== 'done') throw new Error(`operation ${number} is ${state.name}`);
  return state.outcome;
}

const createC = "CREATE BACKUP COLLECTION c (TABLE t) WITH (STORAGE='cluster')";

/** Where everything happens: a home remembers a store by its place. */
const here = join(made, 'here');
const stateOf = (name: string) => join(made, 'states', name);
const keep = (name: string) => cpSync(here, stateOf(name), {recursive: true});

function begin(): void {
  rmSync(here, {recursive: true, force: true});
  mkdirSync(join(here, 'home'), {recursive: true, mode: 0o700});
  mkdirSync(join(here, 'store'));
}

async function makeVault(env: Env): Promise<void> {
  begin();
  await done(here, ['sql', createC], env);
  const deps = depsIn(here, env);
  const {operation} = await execute(deps, parse('BACKUP c')[0]!);
  await runWorker(deps, {number: operation!.number});
  deps.close();
}

beforeAll(async () => {
  const db = new DatabaseSync(database);
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)');
  db.close();
  await makeVault({});
  keep('plain');
  await makeVault(withRight);
  keep('other');
  await makeVault(withRight);
  keep('sealed');
  vaultId = JSON.parse(readFileSync(join(here, 'store/bkp.json'), 'utf8')).id;
  await done(here, ['vault', 'key', 'add', '--label', 'removed', '--key-file', join(made, 'removed')]);
  keep('added');
  await done(here, ['vault', 'key', 'remove', 'removed']);
  keep('rotated');
  writeFileSync(join(made, 'new-password'), 'newer');
  writeFileSync(join(made, 'secret'), `${right}\n`);
  writeFileSync(join(made, 'empty'), '\n');
  mkdirSync(join(made, 'credentials/bkp.password'), {recursive: true});
});

const copy = (name: string, part: 'home' | 'store') =>
  cpSync(join(stateOf(name), part), join(here, part), {recursive: true});

const keyFiles = (folder: string, kind: string) =>
  filesIn(join(folder, 'store', 'keys')).filter((path) => path.includes(`/${kind}/`));

function damage(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
}

const lose = (path: string): void => rmSync(path);

function changeHeader(folder: string, change: object): void {
  const path = join(folder, 'store/bkp.json');
  const {checksum: _, ...header} = JSON.parse(readFileSync(path, 'utf8'));
  const next = {...header, ...change};
  const checksum = hashHex(Buffer.from(JSON.stringify(next)));
  writeFileSync(path, JSON.stringify({...next, checksum}, null, 2));
}

/** Sealed for the public keys that the ring of the store shows, by somebody who has no secret. */
async function forgeRing(folder: string): Promise<void> {
  const store = await openDirectoryStore({root: join(folder, 'store'), create: false});
  const {ring} = await unlock(store, parseSecret(right), {vault: vaultId});
  const mine = {names: newRawKey(vaultId, 0).key, data: [newRawKey(vaultId, 0)], meta: [newRawKey(vaultId, 0)]};
  const before = {...ring, link: {...ring.link, root: newRoot().toString('hex')}};
  const {bytes} = sealRing({vault: vaultId, root: newRoot(), before, keys: mine, slots: ring.slots});
  for (const place of ['keys', 'keys/spare']) {
    writeFileSync(join(folder, 'store', ringKey(2).replace('keys', place)), bytes);
  }
}

type Situation = {
  env?: Env;
  /** Which home and which store; default: those of an encrypted vault. */
  home?: 'sealed' | 'rotated' | 'plain';
  store?: 'sealed' | 'plain' | 'other' | 'rotated';
  prepare?: (folder: string) => void | Promise<void>;
  missingPackage?: true;
  status: 2 | 12 | 13;
  message: string;
  next: string;
  /** A worker that got what opens the vault by the pipe is refused as well. */
  isInStore?: true;
  /** Commands that do something else here, by their beginnings. */
  others?: readonly string[];
};

const slotsOf = {
  status: 12,
  next: 'try another password, or the key of the recovery kit; nothing was changed',
} as const;

const situations: Record<string, Situation> = {
  'a wrong password': {...slotsOf, env: {BKP_PASSWORD: 'wrong'}, message: 'this password opens no slot of the vault'},
  'a wrong key': {...slotsOf, env: {BKP_PASSWORD: wrong}, message: 'this key opens no slot of the vault'},
  'a mistyped key': {
    env: {BKP_PASSWORD: right.slice(0, -1)},
    status: 2,
    message: 'the key is mistyped',
    next: 'compare it group by group with the recovery kit',
  },
  'a secret that was removed': {
    ...slotsOf,
    env: {BKP_PASSWORD_FILE: join(made, 'removed')},
    home: 'rotated',
    store: 'rotated',
    // Somebody puts the slot back.
    prepare: (folder) =>
      cpSync(join(stateOf('added'), 'store/keys/slots'), join(folder, 'store/keys/slots'), {recursive: true}),
    message: 'this secret was removed from the vault',
    next: 'use another password, or the key of the recovery kit',
  },
  'no secret': {
    status: 12,
    message: 'is encrypted, and no password is set',
    next: 'set BKP_PASSWORD_COMMAND, BKP_PASS',
  },
  'a password file that is not there': {
    env: {BKP_PASSWORD_FILE: join(made, 'nowhere')},
    status: 2,
    message: 'nowhere does not exist',
    next: 'name a file that contains the value, or unset BKP_PASSWORD_FILE',
  },
  'a password file that is a folder': {
    env: {BKP_PASSWORD_FILE: made},
    status: 2,
    message: 'is a folder, not a file',
    next: 'name a file that contains the value, or unset BKP_PASSWORD_FILE',
  },
  'an empty password file': {
    env: {BKP_PASSWORD_FILE: join(made, 'empty')},
    status: 2,
    message: 'is empty',
    next: 'name a file that contains the value, or unset BKP_PASSWORD_FILE',
  },
  'a command that fails': {
    env: {BKP_PASSWORD_COMMAND: 'exit 3'},
    status: 12,
    message: 'the command that prints the password of the vault failed',
    next: 'run it by hand: exit 3',
  },
  'a command that prints nothing': {
    env: {BKP_PASSWORD_COMMAND: 'true'},
    status: 12,
    message: 'what the password command prints is empty',
    next: 'a secret is one line that is not empty, or a recovery kit',
  },
  'a credential that cannot be read': {
    env: {CREDENTIALS_DIRECTORY: join(made, 'credentials')},
    status: 12,
    message: `the credential ${join(made, 'credentials/bkp.password')} cannot be read`,
    next: 'check LoadCredential in the unit',
  },
  'the package of KMS missing': {
    env: {BKP_KMS_KEY: 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab'},
    missingPackage: true,
    status: 12,
    message: 'needs the package @aws-sdk/client-kms, which is not installed',
    next: 'npm install -g @aws-sdk/client-kms',
  },
  'the package of age missing': {
    env: {BKP_AGE_IDENTITY_FILE: join(made, 'secret')},
    missingPackage: true,
    status: 12,
    message: 'needs the package age-encryption, which is not installed',
    next: 'npm install -g age-encryption',
  },
  'both copies of the slot damaged': {
    env: withRight,
    prepare: (folder) => keyFiles(folder, 'slots').forEach(damage),
    status: 13,
    message: 'is damaged: ',
    next: 'bkp vault key import FILE',
  },
  'both copies of the ring damaged': {
    env: withRight,
    prepare: (folder) => keyFiles(folder, 'rings').forEach(damage),
    status: 13,
    message: 'is damaged: ',
    next: 'bkp vault key import FILE',
    isInStore: true,
  },
  'both copies of the ring lost': {
    env: withRight,
    prepare: (folder) => keyFiles(folder, 'rings').forEach(lose),
    status: 13,
    message: 'the keys of the encrypted vault in',
    next: 'bkp vault key import FILE',
    isInStore: true,
  },
  'a ring that someone without a secret made': {
    env: withRight,
    prepare: forgeRing,
    status: 13,
    message: 'someone else made it',
    next: 'restore all objects below keys/ from a copy of the store',
    isInStore: true,
  },
  'the ring of another vault': {
    env: withRight,
    prepare: (folder) => {
      rmSync(join(folder, 'store/keys'), {recursive: true});
      cpSync(join(stateOf('other'), 'store/keys'), join(folder, 'store/keys'), {recursive: true});
    },
    status: 13,
    message: 'it belongs to another vault',
    next: 'bkp vault key import FILE',
    isInStore: true,
  },
  'keys that were rolled back': {
    env: withRight,
    home: 'rotated',
    status: 12,
    message: 'are older than before',
    next: 'restore the newest objects below keys/ from a copy of the store',
    isInStore: true,
  },
  'another encrypted vault than before': {
    env: withRight,
    store: 'other',
    status: 12,
    message: 'holds another encrypted vault than before',
    next: 'if it was replaced on purpose, forget the one before: bkp store forget',
  },
  'a plain vault where an encrypted one was': {
    env: {},
    store: 'plain',
    status: 12,
    message: 'is not encrypted, but was before',
    next: 'if it was replaced on purpose: bkp store forget',
    isInStore: true,
  },
  'a header that claims that the vault is plain': {
    env: withRight,
    prepare: (folder) => changeHeader(folder, {encryption: 'none', hash: 'blake3-256'}),
    status: 12,
    message: 'is not encrypted, but was before',
    next: 'if it was replaced on purpose: bkp store forget',
    isInStore: true,
  },
  'a plain vault and a secret': {
    env: withRight,
    home: 'plain',
    store: 'plain',
    status: 12,
    message: 'is not encrypted',
    next: 'copy its collections into an empty store, which is then encrypted',
    others: ['sql COPY', 'vault key'],
  },
  'a vault that a newer bkp encrypted': {
    env: withRight,
    prepare: (folder) => changeHeader(folder, {encryption: 'bkp-2'}),
    status: 12,
    message: 'was written by a newer bkp (encryption bkp-2)',
    next: 'install the newest bkp',
    isInStore: true,
  },
};

type Outcome = 'refused' | 'attempt' | 'check' | 'metrics' | 'scheduler' | 'completes';
type Line = {args: readonly string[]; outcome: Outcome; env?: Env; input?: string};

const object = (folder: string): Env => ({BKP_STORE: `fs::root=${join(folder, 'store')}`});
const of = (outcome: Outcome, ...lines: string[]): Line[] => lines.map((line) => ({args: line.split(' '), outcome}));
const sql = (statement: string, outcome: Outcome = 'refused'): Line => ({args: ['sql', statement], outcome});

const linesIn = (folder: string): Line[] => [
  sql(createC.replace(' c ', ' d ')),
  ...[
    "ALTER BACKUP COLLECTION c SET (KEEP_LATEST = '3')",
    'SHOW BACKUP COLLECTIONS',
    'SHOW BACKUPS IN c',
    'RESTORE c TABLE t AS u',
    'VERIFY c',
    "VERIFY c WITH (LEVEL='restore')",
    `COPY BACKUP COLLECTION c TO 'fs::root=${join(folder, 'copy')}'`,
    "DROP BACKUP c AT '20250101000000Z_full'",
    'DROP BACKUP COLLECTION c',
    'SELECT * FROM collection_backups()',
    'SELECT * FROM backup(c).t',
  ].map((statement) => sql(statement)),
  sql('BACKUP c', 'attempt'),
  {...sql('BACKUP DATABASE', 'attempt'), env: object(folder)},
  {...sql('SELECT * FROM backups()'), env: object(folder)},
  {args: ['sql'], input: 'SHOW BACKUPS IN c;\n', outcome: 'refused'},
  ...of('refused', 'collection list', 'collection show c', 'collection cleanup', 'retention plan c', 'schedule next c'),
  ...of('refused', 'restore c --dry-run', 'restore c', 'diff c', `export c ${join(folder, 'export.csv')}`, 'report c'),
  ...of('refused', 'vault key list', `vault key add --key-file ${join(folder, 'key')}`, 'vault key remove x'),
  ...of('refused', `vault key add --kit ${join(folder, 'kit')}`, 'vault key rotate', 'vault key rotate --reencrypt'),
  ...of('refused', `vault key passwd --password-file ${join(made, 'new-password')}`, 'vault key forget'),
  ...of('refused', `vault key export ${join(folder, 'keys.json')}`, 'store forget --gone'),
  ...of('check', 'store check', 'doctor', 'doctor --repair'),
  ...of('metrics', 'metrics'),
  ...of('scheduler', 'scheduler --once'),
  ...of('completes', '__complete -- collection show '),
];

const bytesIn = (folder: string) =>
  Object.fromEntries(filesIn(folder).map((path) => [path.slice(folder.length), readFileSync(path, 'base64')]));

/** Files of the home, the store, and beside them that differ. */
function changesOf(folder: string, before: Record<string, string>): string[] {
  const now = bytesIn(folder);
  return [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((path) => before[path] !== now[path])
    .sort();
}

async function arrange({home = 'sealed', store = 'sealed', prepare}: Situation): Promise<void> {
  begin();
  copy(home, 'home');
  copy(store, 'store');
  await prepare?.(here);
}

/** The files of a home that a line may change: a backup that was refused is told as an operation that failed. */
const mayChange: Record<Outcome, RegExp> = {
  refused: /^$/,
  check: /^$/,
  metrics: /^$/,
  completes: /^$/,
  attempt: /^\/home\/(journal\.db(-\w+)?|logs\/.*)$/,
  scheduler: /^\/home\/schedulers\//,
};

test.each(Object.entries(situations))('%s: every command says so, and changes nothing', async (_, situation) => {
  const {env = {}, status, message, next, others = []} = situation;
  await arrange(situation);
  isMissing = situation.missingPackage === true;
  onTestFinished(() => {
    isMissing = false;
  });
  for (const {args, input, outcome, env: more} of linesIn(here)) {
    const words = args.join(' ');
    if (others.some((other) => words.startsWith(other))) continue;
    const before = bytesIn(here);
    const said = await bkp(here, args, {...env, ...more}, input);
    expect(
      changesOf(here, before).filter((path) => !mayChange[outcome].test(path)),
      words,
    ).toEqual([]);
    if (outcome === 'completes') {
      expect(said, words).toMatchObject({status: 0, err: ''});
      continue;
    }
    // Without settings nothing begins at all: then all of them have the same status.
    const own = {check: 1, metrics: 3, scheduler: 1, refused: status, attempt: status}[outcome];
    expect([own, ...(status === 2 ? [2] : [])], words).toContain(said.status);
    const text = said.out + said.err;
    expect(text, words).toContain(message);
    if (outcome !== 'scheduler') expect(text, words).toContain(next);
  }
});

const inStore = Object.entries(situations).filter(([, {isInStore}]) => isInStore);

test.each(inStore)('%s: a worker whose keys came before says so, and writes nothing', async (_, situation) => {
  const {home = 'sealed', message, next} = situation;
  for (const statement of ['BACKUP c', 'RESTORE c TABLE t AS u', 'VERIFY c', 'DROP BACKUP COLLECTION c']) {
    begin();
    copy(home, 'home');
    copy(home, 'store');
    const {number, keyChain} = await queued(here, statement);
    rmSync(join(here, 'store'), {recursive: true});
    copy(situation.store ?? 'sealed', 'store');
    await situation.prepare?.(here);
    const before = bytesIn(join(here, 'store'));
    const outcome = await worked(here, number, keyChain);
    expect(outcome, statement).toMatchObject({status: 'ERROR', error: {message: expect.stringContaining(message)}});
    expect(outcome, statement).toMatchObject({error: {next: expect.stringContaining(next)}});
    expect(bytesIn(join(here, 'store'))).toEqual(before);
  }
});

test('a worker that got nothing to open the vault with says so, and writes nothing', async () => {
  begin();
  copy('sealed', 'home');
  copy('sealed', 'store');
  const {number} = await queued(here, 'BACKUP c');
  const before = bytesIn(join(here, 'store'));
  expect(await worked(here, number)).toMatchObject({status: 'ERROR', error: {code: 'SECRET_MISSING'}});
  expect(bytesIn(join(here, 'store'))).toEqual(before);
});
