import {execFile, execFileSync} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {bareEnv, bkpFile, runBkp} from '../helpers/bkp.ts';

// Opening a named pipe waits for its other end. One in the place of a file of bkp's home must not stop a command.

describe.skipIf(process.platform === 'win32')('a named pipe in the place of', () => {
  let home: string;
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'bkp-pipes-'));
    const db = new DatabaseSync(join(home, 'app.db'));
    db.exec('CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1), (2)');
    db.close();
    for (const args of [
      ['config', 'set', 'source', join(home, 'app.db')],
      ['sql', "CREATE BACKUP COLLECTION c (TABLE orders) WITH (STORAGE='cluster')"],
      ['sql', '--wait', 'BACKUP c'],
    ]) {
      expect(await runBkp(args, {home})).toMatchObject({status: 0});
    }
  });
  afterAll(() => rmSync(home, {recursive: true, force: true}));

  /** @returns what bkp says; `hangs` if it does not end by itself */
  function run(args: readonly string[]): Promise<{status: unknown; text: string}> {
    return new Promise((settle) => {
      const options = {env: bareEnv({home}), cwd: home, timeout: 120_000, killSignal: 'SIGKILL'} as const;
      execFile(process.execPath, [bkpFile, ...args], options, (error, stdout, stderr) =>
        settle({status: error === null ? 0 : error.killed ? 'hangs' : error.code, text: stdout + stderr}),
      );
    });
  }

  async function withPipe(path: string, work: () => Promise<void>): Promise<void> {
    mkdirSync(dirname(path), {recursive: true});
    rmSync(path, {force: true});
    execFileSync('mkfifo', [path]);
    try {
      await work();
    } finally {
      rmSync(path, {force: true});
    }
  }

  const inHome = (name: string) => join(home, name);
  const says = (name: string) => expect.stringContaining(`${inHome(name)} is a named pipe, not a file`);

  test.each([
    ['config.json', ['config', 'list'], 1],
    ['reload', ['sql', 'SELECT reload_config()'], 1],
    ['logs/fullbackup-1.log', ['operation', 'get', '1', '--log'], 1],
  ] as const)('%s: %j ends with an error that names it', async (name, args, status) => {
    const kept = name === 'config.json' ? inHome('kept.json') : undefined;
    if (kept !== undefined) execFileSync('cp', [inHome(name), kept]);
    await withPipe(inHome(name), async () => {
      expect(await run(args)).toEqual({status, text: says(name)});
    });
    if (kept !== undefined) execFileSync('mv', [kept, inHome(name)]);
  });

  test('the log of the next operation: no worker is started, and the error names it', async () => {
    await withPipe(inHome('logs/fullbackup-2.log'), async () => {
      expect(await run(['sql', '--wait', 'BACKUP c'])).toEqual({status: 1, text: says('logs/fullbackup-2.log')});
    });
    expect(await run(['sql', '--wait', 'BACKUP c'])).toMatchObject({status: 0});
  });

  test('a note about a store: it counts as absent and is written again', async () => {
    const [note] = readdirSync(inHome('vaults')).filter((name) => name.endsWith('.json'));
    await withPipe(inHome(`vaults/${note}`), async () => {
      expect(await run(['sql', '--wait', 'BACKUP c'])).toMatchObject({status: 0});
    });
  });

  test.each(['', '-wal', '-shm'])('the cache%s: it is made again', async (suffix) => {
    const [cache] = readdirSync(inHome('cache')).filter((name) => name.endsWith('.db'));
    await withPipe(inHome(`cache/${cache}${suffix}`), async () => {
      expect(await run(['sql', '--wait', 'VERIFY c'])).toMatchObject({status: 0});
    });
  });

  test('the owner of a scratch folder: other commands run', async () => {
    await withPipe(inHome('scratch/0123456789abcdef/owner.json'), async () => {
      expect(await run(['diff', 'c'])).toMatchObject({status: 0});
    });
  });

  // The last one: the operations are gone with the journal.
  test.each(['-wal', '-shm', ''])('journal.db%s: the error says what to move away, and that works', async (suffix) => {
    const name = `journal.db${suffix}`;
    await withPipe(inHome(name), async () => {
      const {status, text} = await run(['operation', 'list']);
      expect({status, text}).toEqual({status: 1, text: says(name)});
      const move = /\((mv '[^']*' '[^']*')\)/.exec(text)?.[1];
      execFileSync('sh', ['-c', move!]);
      expect(await run(['operation', 'list'])).toMatchObject({status: 0});
      expect(existsSync(inHome(`${name}.damaged`))).toBe(true);
    });
  });
});
