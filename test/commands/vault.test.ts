import {execFileSync} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {beforeEach, expect, onTestFinished, test} from 'vitest';
import type {Deps} from '../../src/app/deps.ts';
import {checkStores} from '../../src/app/health/doctor-checks.ts';
import {kitText} from '../../src/app/keys/kit.ts';
import type {CommandDeps} from '../../src/commands/deps.ts';
import {runProgram} from '../../src/commands/program.ts';
import {loadSettings} from '../../src/config/index.ts';
import {BkpError} from '../../src/errors/index.ts';
import {type Store, wrapStore} from '../../src/stores/index.ts';
import {newKey} from '../../src/vault/index.ts';
import {testDeps} from '../helpers/deps.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-vault-command-'));
  onTestFinished(() => rmSync(folder, {recursive: true}));
});

type Secrets = Record<string, string>;
type Answers = {
  /** Runs something else than a command. */
  run?: (deps: CommandDeps) => Promise<void>;
  env?: Secrets;
  typed?: (question: string, out: string) => string | undefined;
  home?: string;
  /** What stands between bkp and its store. */
  between?: (store: Store) => Store;
  showProgress?: (line: string | undefined) => void;
};

/** Runs `bkp` in this process, with its store in the test's folder. */
async function bkp(
  args: readonly string[],
  {env: secrets = {}, typed, home = 'home', run, between, showProgress}: Answers = {},
) {
  const base = testDeps(join(folder, home));
  const env = {...base.env, ...secrets};
  const flags = {color: false, cluster: join(folder, 'store')};
  const questions: string[] = [];
  const deps: CommandDeps = {
    ...base,
    env,
    flags,
    cwd: folder,
    settings: () => loadSettings({flags, env, home: base.home, cwd: folder}),
    keyChain: {slots: new Map()},
    startWorker: async () => {},
    showProgress,
    openStore: async (...args) => (between ?? ((store) => store))(await base.openStore(...args)),
  };
  if (typed !== undefined) {
    (deps as {askSecret?: Deps['askSecret']}).askSecret = async (question) => {
      questions.push(question);
      return typed(question, base.out());
    };
    Object.defineProperty(base.stdout, 'isTTY', {value: true});
  }
  const parts = {openDeps: async () => deps, write: () => {}, columns: 80, version: () => ''};
  const error = await (run?.(deps) ?? runProgram(args, parts)).then(
    () => undefined,
    (thrown: {code: string; message: string}) => thrown,
  );
  base.close();
  return {error, out: base.out(), err: base.err(), questions};
}

/** Keys need no slow derivation. */
const secretOf = (code: string) => ({env: {BKP_PASSWORD: code}});
const [first, second] = [newKey().code, newKey().code];
const fileOf = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return name;
};

const create = () => bkp(['vault', 'create', '--encrypt'], secretOf(first));

async function slots(code: string): Promise<{slot: string; label: string; kind: string; opened: boolean}[]> {
  const {out, error} = await bkp(['vault', 'key', 'list', '--format', 'json'], secretOf(code));
  if (error !== undefined) throw error;
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const storeFiles = () =>
  existsSync(join(folder, 'store')) ? readdirSync(join(folder, 'store'), {recursive: true}).map(String).sort() : [];

test('a vault is made encrypted if that is asked for, and only in an empty store', async () => {
  const {out, error} = await create();
  expect(error).toBeUndefined();
  expect(out).toMatch(
    /^vault [0-9a-f]{32} in fs::root=\S+\nencrypted, ring 1-[0-9a-f-]+\n.*\n {2}bkp vault key add --kit\n$/,
  );
  expect(await slots(first)).toMatchObject([{kind: 'key', opened: true}]);
  expect((await create()).error).toMatchObject({code: 'PRECONDITION', message: expect.stringContaining('already')});
  rmSync(join(folder, 'store'), {recursive: true});
  const plain = await bkp(['vault', 'create'], {home: 'other'});
  expect(plain.out).toContain('\nnot encrypted: ');
  expect((await bkp(['vault', 'key', 'list'], {home: 'other'})).error).toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringContaining('is not encrypted, so it has no keys'),
  });
});

test('without a secret, no part of an encrypted vault is written', async () => {
  const {error} = await bkp(['vault', 'create', '--encrypt']);
  expect(error).toMatchObject({code: 'SECRET_MISSING', message: expect.stringContaining('would be encrypted')});
  expect(storeFiles()).toEqual([]);
});

test('a new password is typed twice, and nothing is written if the two differ', async () => {
  const answers = ['one', 'two'];
  const {error, questions} = await bkp(['vault', 'create', '--encrypt'], {typed: () => answers.shift()});
  expect(error).toMatchObject({code: 'USAGE', message: 'the two passwords differ'});
  expect(questions).toHaveLength(2);
  expect(storeFiles()).toEqual([]);
});

test('a kit in a file opens the vault as any secret does, and the file is never replaced', async () => {
  await create();
  const {error, err} = await bkp(['vault', 'key', 'add', '--kit', 'kit.txt'], secretOf(first));
  expect(error).toBeUndefined();
  expect(err).toContain('opened by a kit');
  const path = join(folder, 'kit.txt');
  const text = readFileSync(path, 'utf8');
  expect(statSync(path).mode & 0o077).toBe(0);
  expect(text).toMatch(/^Vault {3}[0-9a-f]{32}$/m);
  const kit = {env: {BKP_PASSWORD_FILE: path}, home: 'empty'};
  const {out} = await bkp(['vault', 'key', 'list', '--format', 'json'], kit);
  expect(
    out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line)),
  ).toMatchObject([
    {kind: 'key', opened: false},
    {kind: 'kit', label: 'recovery kit', opened: true},
  ]);
  const again = await bkp(['vault', 'key', 'add', '--kit', 'kit.txt'], secretOf(first));
  expect(again.error).toMatchObject({code: 'FILE_UNAVAILABLE'});
  expect(readFileSync(path, 'utf8')).toBe(text);
  expect(await slots(first)).toHaveLength(2);
});

/** The store does not answer any more, from the put of the next ring on, whether that one arrived or not. */
function silentAtRing(isWritten: boolean): (store: Store) => Store {
  return (store) => {
    let isSilent = false;
    const silent = () => new BkpError('STORE_UNAVAILABLE', 'the store does not answer', {retryable: true});
    return wrapStore(store, {
      put: async (key, body, options) => {
        isSilent ||= key.includes('/rings/');
        if (!isSilent || isWritten) await store.put(key, body, options);
        if (isSilent) throw silent();
        return 'written';
      },
      get: async (key, range) => {
        if (isSilent) throw silent();
        return store.get(key, range);
      },
    });
  };
}

test.each([true, false])('a kit that may open the vault is never removed: its slot is there: %s', async (isWritten) => {
  await create();
  const {error, err} = await bkp(['vault', 'key', 'add', '--kit', 'kit.txt'], {
    ...secretOf(first),
    between: silentAtRing(isWritten),
  });
  expect(error).toMatchObject({code: 'STORE_UNAVAILABLE', message: expect.stringContaining('is unknown')});
  expect(err).toContain('kit.txt is kept: the vault may have a slot that it opens');
  expect((await slots(first)).some(({kind}) => kind === 'kit')).toBe(isWritten);
  const kit = /BKP-KEY1-\S+/.exec(readFileSync(join(folder, 'kit.txt'), 'utf8'))![0];
  if (isWritten) expect(await slots(kit)).toMatchObject([{}, {kind: 'kit', opened: true}]);
});

test('a store that refuses to write is named as such, and the file of the kit goes again', async () => {
  await create();
  const before = storeFiles();
  const readOnly = (store: Store) =>
    wrapStore(store, {
      put: async () => {
        throw new BkpError('STORE_DENIED', 'the store may only be read');
      },
    });
  for (const args of [['rotate'], ['add', '--kit', 'kit.txt']]) {
    const {error} = await bkp(['vault', 'key', ...args], {...secretOf(first), between: readOnly});
    expect(error).toMatchObject({code: 'STORE_DENIED', message: 'the store may only be read'});
  }
  expect(existsSync(join(folder, 'kit.txt'))).toBe(false);
  expect(storeFiles()).toEqual(before);
});

test('a kit that is printed on a terminal counts only when two of its groups are typed back', async () => {
  await create();
  const groupOf = (question: string, out: string) => {
    const [, number] = /^group (\d)/.exec(question)!;
    return /BKP-KEY1-(\S+)/.exec(out)![1]!.split('-')[Number(number) - 1]!;
  };
  const wrong = await bkp(['vault', 'key', 'add', '--kit'], {...secretOf(first), typed: () => 'AAAA'});
  expect(wrong.error).toMatchObject({code: 'USAGE', message: 'that is not group 3 of the key'});
  expect(await slots(first)).toHaveLength(1);
  const right = await bkp(['vault', 'key', 'add', '--kit'], {
    ...secretOf(first),
    typed: (question, out) => groupOf(question, out).toLowerCase(),
  });
  expect(right.error).toBeUndefined();
  expect(await slots(/BKP-KEY1-\S+/.exec(right.out)![0])).toMatchObject([{}, {kind: 'kit', opened: true}]);
});

test('a removed slot opens nothing, and the others are not asked for their secrets', async () => {
  await create();
  await bkp(['vault', 'key', 'add', '--password-file', fileOf('second', second), '--label', 'anna'], secretOf(first));
  expect(await slots(second)).toMatchObject([{opened: false}, {label: 'anna', opened: true}]);
  const {out} = await bkp(['vault', 'key', 'remove', 'anna'], secretOf(first));
  expect(out).toMatch(/^removed slot [0-9a-f]{8} \(anna\)\n/);
  await expect(slots(second)).rejects.toMatchObject({code: 'SECRET_WRONG'});
  expect(await slots(first)).toHaveLength(1);
  expect((await bkp(['vault', 'key', 'remove', 'anna'], secretOf(first))).error).toMatchObject({
    code: 'BAD_REQUEST',
    message: 'the vault has no slot anna',
  });
});

test('whoever removes the slot that is in use needs a kit', async () => {
  await create();
  await bkp(['vault', 'key', 'add', '--key-file', 'key.txt', '--label', 'server'], secretOf(first));
  const [own] = await slots(first);
  const remove = () => bkp(['vault', 'key', 'remove', own!.slot.slice(0, 8)], secretOf(first));
  expect((await remove()).error).toMatchObject({code: 'PRECONDITION'});
  expect(await slots(first)).toHaveLength(2);
  await bkp(['vault', 'key', 'add', '--kit', 'kit.txt'], secretOf(first));
  expect((await remove()).error).toBeUndefined();
  expect(await slots(readFileSync(join(folder, 'key.txt'), 'utf8').trim())).toHaveLength(2);
});

test('a password is replaced in one step, also by one that is typed', async () => {
  await create();
  const typed = await bkp(['vault', 'key', 'passwd'], {...secretOf(first), typed: () => second});
  expect(typed.error).toBeUndefined();
  await expect(slots(first)).rejects.toMatchObject({code: 'SECRET_WRONG'});
  expect(await slots(second)).toMatchObject([{opened: true}]);
  const {error} = await bkp(['vault', 'key', 'passwd'], secretOf(second));
  expect(error).toMatchObject({code: 'SECRET_MISSING', message: expect.stringContaining('no terminal')});
});

test('a page of a recovery kit opens the vault as it was typed, scanned or cut', async () => {
  await create();
  await bkp(['vault', 'key', 'add', '--kit', 'kit.txt'], secretOf(first));
  const page = readFileSync(join(folder, 'kit.txt'), 'utf8');
  const line = /^Key .*$/m.exec(page)![0];
  const parts = [
    page,
    `\n\n${page}`,
    page.replaceAll('\n', '\r\n'),
    page.slice(page.indexOf('Vault')),
    line,
    `  ${line}\n`,
  ];
  for (const text of [...parts, line.toLowerCase()]) {
    expect(await slots(text), text).toMatchObject([{kind: 'key'}, {kind: 'kit', opened: true}]);
    const file = join(folder, fileOf('page', text));
    const {error} = await bkp(['vault', 'key', 'list'], {env: {BKP_PASSWORD_FILE: file}});
    expect(error, text).toBeUndefined();
  }
});

test('a recovery kit is replaced by no password', async () => {
  await create();
  await bkp(['vault', 'key', 'add', '--kit', 'kit.txt'], secretOf(first));
  const code = /BKP-KEY1\S+/.exec(readFileSync(join(folder, 'kit.txt'), 'utf8'))![0];
  fileOf('second', second);
  const {error} = await bkp(['vault', 'key', 'passwd', '--password-file', 'second'], secretOf(code));
  expect(error).toMatchObject({code: 'PRECONDITION', message: expect.stringContaining('is a recovery kit')});
  expect(await slots(code)).toMatchObject([{kind: 'key'}, {kind: 'kit', opened: true}]);
});

test('a secret gets no second slot, with which the removal of one would keep nobody out', async () => {
  await create();
  const own = fileOf('first', first);
  const theirs = fileOf('second', second);
  expect((await bkp(['vault', 'key', 'add', '--password-file', theirs], secretOf(first))).error).toBeUndefined();
  for (const args of [
    ['add', '--password-file', own],
    ['add', '--password-file', theirs],
    ['passwd', '--password-file', own],
    ['passwd', '--password-file', theirs, '--rotate'],
  ]) {
    const {error} = await bkp(['vault', 'key', ...args], secretOf(first));
    expect(error).toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringMatching(/^this key opens slot \w{8} \(/),
    });
  }
  expect(await slots(first)).toHaveLength(2);
});

test('a rotation, and a removal, bring new keys; keys that are kept stay the same', async () => {
  await create();
  const ringOf = (text: string) => Number(/^ring (\d+)-/m.exec(text)![1]);
  const rotated = await bkp(['vault', 'key', 'rotate'], secretOf(first));
  expect(ringOf(rotated.out)).toBe(2);
  await bkp(['vault', 'key', 'add', '--key-file', 'a.txt', '--label', 'a'], secretOf(first));
  const kept = await bkp(['vault', 'key', 'remove', 'a', '--keep-keys'], secretOf(first));
  expect(kept.out).toContain('the keys are the same');
});

test('what is no secret, and two kinds of slot at once, change nothing', async () => {
  await create();
  const before = storeFiles();
  for (const [args, code] of [
    [['--password-file', fileOf('empty', '\n')], 'SECRET_MISSING'],
    [['--password-file', fileOf('lines', 'a\nb\n')], 'SECRET_MISSING'],
    [['--password-file', 'absent'], 'SECRET_MISSING'],
    [['--password-file', fileOf('mistyped', first.slice(0, -1) + (first.endsWith('A') ? 'B' : 'A'))], 'USAGE'],
    [['--kit', '--key-file', 'k'], 'USAGE'],
    [['--kit', 'no/such/folder/kit'], 'FILE_UNAVAILABLE'],
  ] as const) {
    const {error} = await bkp(['vault', 'key', 'add', ...args], secretOf(first));
    expect(error, args.join(' ')).toMatchObject({code});
  }
  expect((await bkp(['vault', 'key', 'list'], secretOf(second))).error).toMatchObject({code: 'SECRET_WRONG'});
  expect(storeFiles()).toEqual(before);
});

test('doctor asks for a kit until there is one, and finds and mends each lost copy', async () => {
  await create();
  const checks = async (repair: boolean) => {
    let found: Awaited<ReturnType<typeof checkStores>> = [];
    await bkp([], {
      ...secretOf(first),
      run: async (deps) => {
        found = await checkStores(deps, {repair});
      },
    });
    return found.filter(({what}) => what === 'cluster: keys');
  };
  expect(await checks(false)).toEqual([
    {what: 'cluster: keys', ok: true, detail: '1 slot, no recovery kit yet: bkp vault key add --kit'},
  ]);
  await bkp(['vault', 'key', 'add', '--kit', 'kit.txt'], secretOf(first));
  const intact = [{what: 'cluster: keys', ok: true, detail: '2 slots, 1 recovery kit'}];
  expect(await checks(false)).toEqual(intact);
  const before = storeFiles();
  const objects = before.filter((name) => /^keys\/.*[0-9a-f]{8}$/.test(name));
  expect(objects).toHaveLength(8);
  for (const lost of objects) {
    rmSync(join(folder, 'store', lost));
    const fault = {what: 'cluster: keys', detail: expect.stringContaining(lost)};
    expect(await checks(false)).toMatchObject([...intact, {...fault, ok: false, next: 'bkp doctor --repair'}]);
    expect(await checks(true)).toMatchObject([...intact, {...fault, ok: true}]);
    expect(storeFiles()).toEqual(before);
    expect(await checks(false)).toEqual(intact);
  }
});

test('every command that changes keys can print one line of JSON', async () => {
  await create();
  const json = async (...args: string[]) => {
    const {out, error} = await bkp(['vault', 'key', ...args, '--format', 'json'], secretOf(first));
    expect(error).toBeUndefined();
    return JSON.parse(out);
  };
  const none = {added: [], removed: [], rotated: false, complete: true};
  fileOf('second', second);
  const {added, ...added2} = await json('add', '--password-file', 'second', '--label', 'anna');
  expect(added).toEqual([{slot: expect.stringMatching(/^[0-9a-f]{32}$/), label: 'anna', kind: 'key'}]);
  expect(added2).toMatchObject({ring: expect.stringMatching(/^2-/), generation: 2, removed: [], complete: true});
  expect(await json('add', '--kit', 'kit.txt')).toMatchObject({generation: 3, added: [{kind: 'kit'}]});
  expect(await json('add', '--key-file', 'key')).toMatchObject({generation: 4, added: [{kind: 'key'}]});
  expect(await json('remove', 'anna')).toMatchObject({...none, generation: 5, removed: added, rotated: true});
  expect(await json('rotate')).toMatchObject({...none, generation: 6, rotated: true});
  expect(await json('passwd', '--password-file', 'second')).toMatchObject({generation: 7, removed: [{kind: 'key'}]});
  const printed = await bkp(['vault', 'key', 'add', '--kit', '--format', 'json'], secretOf(second));
  expect(printed.error).toMatchObject({code: 'USAGE'});
  expect(printed.out).toBe('');
});

test('a re-encryption makes new keys once, and goes on with them until it has ended', async () => {
  await create();
  const rotate = () => bkp(['vault', 'key', 'rotate', '--reencrypt', '--format', 'json'], secretOf(first));
  const began = await rotate();
  expect(began.error).toBeUndefined();
  expect(JSON.parse(began.out)).toEqual({operation_id: 'reencrypt/1'});
  expect(began.err).toMatch(/^bkp: new keys are used from now on: ring 2-[0-9a-f-]+\n$/);
  // The journal of the test does not run it.
  expect((await rotate()).error).toMatchObject({code: 'BUSY', next: expect.stringContaining('bkp operation wait')});
  const other = await bkp(['vault', 'key', 'rotate', '--reencrypt'], {...secretOf(first), home: 'other'});
  expect(other.err).toMatch(/^bkp: the re-encryption that began \S+ goes on with the same keys\n$/);
  const doctor = await bkp(['doctor'], secretOf(first));
  expect(doctor.out).toMatch(
    /keys: 1 slot, no recovery kit yet: .*, re-encryption of \S+ not ended: bkp vault key rotate/,
  );
});

test('the commands of a kit name any folder as a shell takes it', () => {
  const root = "/mnt/anna's $disk";
  const keys = {vault: 'ab'.repeat(16), generation: 1, commitment: 'cd'.repeat(32)};
  const text = kitText({store: {kind: 'directory', root}, keys, code: first, made: '2026-11-27T00:00:00.000Z'});
  const words = /bkp --cluster (.*) collection list/.exec(text)![1]!;
  expect(execFileSync('sh', ['-c', `printf %s ${words}`], {encoding: 'utf8'})).toBe(root);
  // A line that a printer breaks is typed wrong: the second command goes on in a line of its own.
  expect(text).toContain(` \\\n    --source new.db sql --wait "RESTORE <collection>"`);
});

test('keys that nothing is sealed with are forgotten, and one that is named and needed is refused', async () => {
  await create();
  const run = (...args: string[]) => bkp(['vault', 'key', 'forget', ...args], secretOf(first));
  expect((await run()).out).toMatch(/^there are no older keys\nring 1-/);
  await bkp(['vault', 'key', 'rotate'], secretOf(first));
  const shown: (string | undefined)[] = [];
  const trial = await bkp(['vault', 'key', 'forget', '--dry-run'], {
    ...secretOf(first),
    showProgress: (line) => shown.push(line),
  });
  // The line of the progress is cleared: the table that follows began in it.
  expect(shown.at(-1)).toBeUndefined();
  expect(shown).not.toEqual([]);
  expect(trial.error).toBeUndefined();
  expect(trial.out).toContain('2 keys can be forgotten');
  const before = JSON.parse((await run('--dry-run', '--format', 'json')).out);
  const keys = [
    {seals: 'packs', objects: 0},
    {seals: 'other objects', objects: 0},
  ];
  expect(before).toMatchObject({generation: 2, forgotten: keys, kept: [], unclear: [], dryRun: true});
  const [data, meta] = before.forgotten.map(({key}: {key: string}) => key);
  expect((await run('0123456789')).error).toMatchObject({code: 'BAD_REQUEST'});
  // Something is sealed with it, as far as anyone can see.
  const sealed = join(folder, 'store', 'verified');
  mkdirSync(sealed);
  writeFileSync(join(sealed, 'one'), Buffer.concat([Buffer.from('BKPE\x01\x01\0\0'), Buffer.from(meta, 'hex')]));
  expect((await run(data, meta.slice(0, 8))).error).toMatchObject({
    code: 'PRECONDITION',
    message: `key ${meta} is needed by 1 object`,
    cause: 'one of them is verified/one',
  });
  const one = await run('--format', 'json');
  expect(JSON.parse(one.out)).toMatchObject({
    generation: 3,
    forgotten: [{key: data}],
    kept: [{key: meta, objects: 1, example: 'verified/one'}],
    dryRun: false,
    complete: true,
  });
  expect(storeFiles().filter((name) => name.includes('rings/'))).toEqual([
    'keys/rings/00000003',
    'keys/spare/rings/00000003',
  ]);
  rmSync(sealed, {recursive: true});
  expect((await run(meta.slice(0, 8))).out).toMatch(/\n1 key forgotten\nring 4-/);
  expect(await slots(first)).toHaveLength(1);
});

test('no key is forgotten before a re-encryption has ended, nor beside an object that is damaged', async () => {
  await create();
  await bkp(['vault', 'key', 'rotate', '--reencrypt'], secretOf(first));
  const run = (...args: string[]) => bkp(['vault', 'key', 'forget', ...args], secretOf(first));
  expect((await run()).error).toMatchObject({code: 'PRECONDITION', next: expect.stringContaining('--reencrypt')});
  rmSync(join(folder, 'store'), {recursive: true});
  await bkp(['vault', 'create', '--encrypt'], {...secretOf(first), home: 'other'});
  const other = (...args: string[]) => bkp(['vault', 'key', ...args], {...secretOf(first), home: 'other'});
  await other('rotate');
  mkdirSync(join(folder, 'store', 'verified'));
  writeFileSync(join(folder, 'store', 'verified', 'one'), 'damaged');
  const {out, error} = await other('forget');
  expect(error).toBeUndefined();
  expect(out).toContain('no key is forgotten: objects are damaged');
  expect(out).toContain('verified/one');
  const {forgotten, unclear} = JSON.parse((await other('forget', '--format', 'json')).out);
  expect([forgotten, unclear.length]).toEqual([[], 1]);
  const [key] = JSON.parse((await other('forget', '--dry-run', '--format', 'json')).out).kept;
  expect((await other('forget', key.key)).error).toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringContaining('is unknown'),
  });
});

test('rings that a killed command left are removed by the next one, and doctor tells of them', async () => {
  await create();
  await bkp(['vault', 'key', 'rotate'], secretOf(first));
  const keepsRings = (store: Store) =>
    wrapStore(store, {
      delete: async (keys) => {
        if (keys.some((key) => key.includes('rings/'))) throw new Error('killed');
        return store.delete(keys);
      },
    });
  const {err, out} = await bkp(['vault', 'key', 'forget', '--format', 'json'], {
    ...secretOf(first),
    between: keepsRings,
  });
  expect(JSON.parse(out)).toMatchObject({generation: 3, complete: false});
  expect(err).toContain('The next change that may do so removes them');
  expect((await bkp(['doctor'], secretOf(first))).out).toContain(
    '2 rings with forgotten keys left: bkp vault key forget',
  );
  await bkp(['vault', 'key', 'forget'], secretOf(first));
  expect(storeFiles().filter((name) => name.startsWith('keys/rings/'))).toEqual(['keys/rings/00000003']);
});

const keyObjects = () => storeFiles().filter((name) => /^keys\/.*[0-9a-f]{8}$/.test(name));

test('an export brings back every lost object of the keys, or all of them, and has no secret', async () => {
  await create();
  await bkp(['vault', 'key', 'add', '--key-file', 'anna', '--label', 'anna'], secretOf(first));
  const anna = readFileSync(join(folder, 'anna'), 'utf8').trim();
  const {out, error} = await bkp(['vault', 'key', 'export', 'keys.json'], secretOf(first));
  expect(error).toBeUndefined();
  expect(out).toMatch(/^exported the keys, with 2 slots, to keys.json\n.*\nring 2-/);
  const text = readFileSync(join(folder, 'keys.json'), 'utf8');
  for (const secret of [first, anna, Buffer.from(first).toString('base64')]) expect(text).not.toContain(secret);
  const again = await bkp(['vault', 'key', 'export', 'keys.json'], secretOf(first));
  expect(again.error).toMatchObject({code: 'FILE_UNAVAILABLE'});
  const before = storeFiles();
  const all = keyObjects();
  const bytes = new Map(all.map((name) => [name, readFileSync(join(folder, 'store', name))]));
  const run = () => bkp(['vault', 'key', 'import', 'keys.json', '--format', 'json'], secretOf(first));
  expect(JSON.parse((await run()).out)).toMatchObject({generation: 2, written: [], older: false});
  const newestOf = (name: string) => !name.endsWith('rings/00000001');
  const both = (name: string) => [name, name.replace('keys/', 'keys/spare/')];
  const pairs = all.filter((name) => !name.includes('spare') && newestOf(name)).map(both);
  for (const lost of [...all.filter(newestOf).map((name) => [name]), ...pairs]) {
    for (const name of lost) rmSync(join(folder, 'store', name));
    const {out: json, error: fault} = await run();
    expect(fault, lost.join()).toBeUndefined();
    for (const name of lost) expect(readFileSync(join(folder, 'store', name))).toEqual(bytes.get(name));
    expect(JSON.parse(json).written.length).toBeGreaterThan(0);
  }
  rmSync(join(folder, 'store', 'keys'), {recursive: true});
  expect((await bkp(['vault', 'key', 'list'], secretOf(first))).error).toMatchObject({
    code: 'OBJECT_MISSING',
    next: expect.stringContaining('bkp vault key import FILE'),
  });
  expect((await bkp(['vault', 'key', 'import', 'keys.json'], secretOf(anna))).error).toBeUndefined();
  expect(storeFiles()).toEqual(before.filter((name) => newestOf(name)));
  expect(await slots(anna)).toHaveLength(2);
});

test('an import changes nothing without a secret that opens the file, and takes no other vault', async () => {
  await create();
  await bkp(['vault', 'key', 'export', 'keys.json'], secretOf(first));
  const before = storeFiles();
  const run = (file: string, answers: Answers) => bkp(['vault', 'key', 'import', file], answers);
  expect((await run('keys.json', {})).error).toMatchObject({code: 'SECRET_MISSING'});
  expect((await run('keys.json', secretOf(second))).error).toMatchObject({code: 'SECRET_WRONG'});
  expect((await run('absent', secretOf(first))).error).toMatchObject({code: 'FILE_UNAVAILABLE'});
  const text = readFileSync(join(folder, 'keys.json'), 'utf8');
  for (let at = 0; at < text.length; at += 97) {
    const file = fileOf('damaged', text.slice(0, at) + (text[at] === 'x' ? 'y' : 'x') + text.slice(at + 1));
    expect((await run(file, secretOf(first))).error).toMatchObject({
      code: 'OBJECT_DAMAGED',
      message: 'damaged is not an export of keys, or it is damaged',
    });
  }
  expect(storeFiles()).toEqual(before);
  rmSync(join(folder, 'store'), {recursive: true});
  expect((await run('keys.json', secretOf(first))).error).toMatchObject({code: 'STORE_UNAVAILABLE'});
  await bkp(['vault', 'create', '--encrypt'], {...secretOf(first), home: 'other'});
  for (const home of ['home', 'other']) {
    const {error} = await run('keys.json', {...secretOf(first), home});
    expect(error, home).toMatchObject({code: 'STORE_REFUSED'});
  }
});

test('an older export adds slots to newer keys, and replaces lost ones only if that is said', async () => {
  await create();
  await bkp(['vault', 'key', 'export', 'old.json'], secretOf(first));
  await bkp(['vault', 'key', 'rotate'], secretOf(first));
  const run = (...args: string[]) =>
    bkp(['vault', 'key', 'import', 'old.json', '--format', 'json', ...args], secretOf(first));
  expect(JSON.parse((await run()).out)).toMatchObject({generation: 2, written: [], older: true});
  const slot = keyObjects().filter((name) => name.includes('slots/'));
  for (const name of slot) rmSync(join(folder, 'store', name));
  expect(JSON.parse((await run()).out)).toMatchObject({generation: 2, written: slot, older: true});
  for (const name of keyObjects().filter((one) => one.endsWith('00000002'))) {
    writeFileSync(join(folder, 'store', name), '{}');
  }
  expect((await run('--allow-older')).error).toMatchObject({
    code: 'STORE_REFUSED',
    message: expect.stringContaining('ring 2 in'),
  });
  rmSync(join(folder, 'store', 'keys'), {recursive: true});
  expect((await run()).error).toMatchObject({
    code: 'STORE_REFUSED',
    message: 'old.json is older than the keys that this machine has seen',
    next: expect.stringContaining('--allow-older'),
  });
  expect(keyObjects()).toEqual([]);
  expect(JSON.parse((await run('--allow-older')).out)).toMatchObject({generation: 1, older: false});
  expect(await slots(first)).toHaveLength(1);
});

test('an import brings back the header of a store that holds backups', async () => {
  await create();
  await bkp(['vault', 'key', 'export', 'keys.json'], secretOf(first));
  const header = join(folder, 'store', 'bkp.json');
  const original = readFileSync(header, 'utf8');
  for (const damage of [() => writeFileSync(header, original.slice(0, 50)), () => rmSync(header)]) {
    const backup = join(folder, 'store', '.backups', 'collections', '~x', '20260101000000Z_full');
    mkdirSync(backup, {recursive: true});
    writeFileSync(join(backup, 'manifest'), 'BKPE');
    damage();
    expect((await bkp(['vault', 'key', 'import', 'keys.json'], secretOf(first))).error).toBeUndefined();
    expect(readFileSync(header, 'utf8')).toBe(original);
  }
});
