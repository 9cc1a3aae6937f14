import {existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {parseSecret} from '../../src/vault/index.ts';
import {bkpFile, runBkp} from '../helpers/bkp.ts';
import {filesIn, formsOf, holding, watchProcesses} from '../helpers/canaries.ts';
import {openDesk} from '../helpers/desk.ts';

const schema = `
  CREATE TABLE canarytable (id INTEGER PRIMARY KEY, canarycolumn TEXT);
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
  INSERT INTO canarytable SELECT i, 'canaryvalue ' || i FROM n;
`;
const create =
  "CREATE BACKUP COLLECTION canarycollection (TABLE canarytable) WITH (STORAGE='cluster', " +
  "INCREMENTAL_BACKUP_ENABLED='true')";

test('no command of the keys leaves a secret anywhere, nor shows one to other processes', async () => {
  const desk = openDesk(schema);
  const secrets = join(desk.folder, 'secrets');
  const scratch = join(desk.folder, 'tmp');
  for (const folder of [secrets, scratch]) mkdirSync(folder);
  const file = (name: string) => join(secrets, name);
  const words = ['canarypassword one', 'canarypassword two', 'canarypassword three'];
  for (const [at, word] of words.entries()) writeFileSync(file(`password-${at + 1}`), `${word}\n`);
  const known = words.flatMap(formsOf);
  /** A file with a key that bkp made. */
  const learn = (path: string) => {
    const [code = ''] = /BKP-KEY1-[A-Z2-7-]{44}/.exec(readFileSync(path, 'utf8')) ?? [];
    const secret = parseSecret(code);
    if (secret.kind !== 'key') throw new Error('it is a key');
    const bytes = Buffer.from(secret.bytes);
    known.push(...formsOf(code), code.slice(9), bytes.toString('hex'), bytes.toString('base64').slice(0, -1));
  };
  const isOurs = (line: string) => line.includes(bkpFile) || line.includes(desk.folder);
  const processes = watchProcesses(isOurs, () => known);
  // Also while commands run: temporary files are gone afterwards.
  const left = new Set<string>();
  const looking = setInterval(() => {
    // The journal has the names of what a restore makes.
    const data = ['canaryvalue', ...known];
    for (const folder of [scratch, desk.home]) {
      if (!existsSync(folder)) continue;
      for (const path of holding(folder, data)) left.add(path);
    }
  }, 50);
  const run = async (password: string, ...args: string[]) => {
    const env = {
      ...{BKP_CLUSTER: desk.cluster, BKP_SOURCE: desk.database, TMPDIR: scratch},
      BKP_PASSWORD_COMMAND: `cat '${file(password)}'`,
    };
    const result = await runBkp(args, {home: desk.home, cwd: desk.folder, env});
    expect(result.status, `${args.join(' ')}: ${result.stderr}`).toBe(0);
    const said = `${result.stdout}${result.stderr}`;
    for (const word of known) expect(said, args.join(' ')).not.toContain(word);
    return result;
  };
  const key = (password: string, ...args: string[]) => run(password, 'vault', 'key', ...args);

  await run('password-1', 'vault', 'create', '--encrypt');
  await run('password-1', 'sql', create);
  await run('password-1', 'sql', '--wait', 'BACKUP canarycollection');
  await key('password-1', 'add', '--password-file', file('password-2'), '--label', 'canarylabel');
  await key('password-1', 'add', '--key-file', file('key'), '--label', 'canarymachine');
  learn(file('key'));
  await key('password-2', 'add', '--kit', file('kit'), '--format', 'json');
  learn(file('kit'));
  await key('kit', 'list', '--format', 'json');
  await key('key', 'export', join(desk.folder, 'keys.json'));
  await key('password-2', 'passwd', '--password-file', file('password-3'), '--rotate');
  await key('password-3', 'remove', 'canarymachine');
  await key('password-3', 'rotate');
  await key('password-3', 'rotate', '--reencrypt', '--wait');
  await key('kit', 'forget', '--dry-run');
  await key('kit', 'forget');
  await key('kit', 'export', join(desk.folder, 'newer.json'), '--format', 'json');
  renameSync(join(desk.cluster, 'keys'), join(desk.folder, 'lost'));
  await key('password-1', 'import', join(desk.folder, 'newer.json'));
  await run('kit', 'doctor', '--repair');
  await run('password-3', 'sql', '--wait', "VERIFY canarycollection WITH (LEVEL='data')");
  await run('password-3', 'sql', '--wait', 'RESTORE canarycollection TABLE canarytable AS again');
  await run('password-3', 'operation', 'list');

  clearInterval(looking);
  const {count, leaks} = processes.end();
  expect(leaks).toEqual([]);
  expect(count).toBeGreaterThan(20);
  expect([...left]).toEqual([]);
  // The scan finds what is there.
  expect(holding(secrets, known)).toHaveLength(5);
  for (const folder of [desk.cluster, join(desk.folder, 'lost')]) {
    expect(filesIn(folder).length).toBeGreaterThan(3);
    expect(holding(folder, ['canary', ...known])).toEqual([]);
  }
  for (const exported of ['keys.json', 'newer.json']) {
    const text = readFileSync(join(desk.folder, exported), 'utf8').toLowerCase();
    for (const word of ['canary', ...known]) expect(text).not.toContain(word.toLowerCase());
  }
  expect(holding(desk.home, ['canaryvalue', 'canarylabel', ...known])).toEqual([]);
  rmSync(join(desk.folder, 'lost'), {recursive: true});
}, 600_000);
