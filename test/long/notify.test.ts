import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {launchNotifier} from '../../src/app/workers/launch-notifier.ts';
import {bareEnv, runBkp} from '../helpers/bkp.ts';
import {testDeps} from '../helpers/deps.ts';
import {createC, type Desk, openDesk} from '../helpers/desk.ts';
import {eventually} from '../helpers/eventually.ts';
import {whileHeld} from '../helpers/held-worker.ts';
import {addFailed, orderAt, placeIn} from '../helpers/journal.ts';
import {startListener} from '../helpers/listener.ts';
import {filesWithSecret, holdsSecret} from '../helpers/secret-hunt.ts';
import {slowSchema} from '../helpers/slow-schema.ts';

// Real workers, a server in this process, and commands that record their input.

const secret = 't0kenT0kenT0ken';

/** A desk where only the profile may contain the secret; `said` is everything that bkp has printed. */
function openSecretDesk(schema?: string): Desk {
  const desk = openDesk(schema);
  const said: string[] = [];
  onTestFinished(async () => {
    // A worker ends after its notifications, and SQLite's files may disappear during this search.
    await eventually(() => expect(filesWithSecret(desk.folder, secret, {except: ['config.json']})).toEqual([]));
    expect(said.filter((text) => holdsSecret(text, secret))).toEqual([]);
  });
  const bkp = async (...args: string[]) => {
    const result = await desk.bkp(...args);
    said.push(result.stdout, result.stderr);
    return result;
  };
  return {...desk, bkp};
}

/** Notifications are sent after the end that `--wait` waits for. */
function until<T>(look: () => T | '' | false): Promise<T> {
  return eventually(() => {
    const found = look();
    if (found === '' || found === false) throw new Error('what was waited for did not come');
    return found;
  });
}

const set = async (desk: Desk, key: string, value: string) => {
  expect(await desk.bkp('config', 'set', key, value)).toMatchObject({status: 0});
};

const read = (desk: Desk, name: string) => {
  const file = join(desk.folder, name);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
};

/** The operation's JSON, including its notices. */
async function operation(desk: Desk, id: string) {
  const {stdout} = await desk.bkp('operation', 'get', id, '--format', 'json');
  return JSON.parse(stdout) as {id: string; status: string; issues: {message: string}[]};
}

/** A command that writes its stdin and environment to a file, atomically. */
const noteTo = (file: string) =>
  `{ cat; env | grep -E '^(BKP_|QDB_|AWS_)' | sort; } > ${file}.part && mv ${file}.part ${file} # ${secret}`;

test('after a success the worker calls webhook and monitor, in order, with the printed operation', async () => {
  const desk = openSecretDesk();
  const listener = await startListener();
  await set(desk, 'notify.on_success', `${listener.url}/hook/${secret}`);
  await set(desk, 'notify.on_failure', `${listener.url}/wrong/${secret}`);
  await set(desk, 'notify.heartbeat', `${listener.url}/ping/${secret}`);
  await desk.sql(createC(true));
  await desk.sqlWait('BACKUP c');
  await until(() => listener.calls.length === 3);
  expect(listener.paths()[0]).toBe(`/ping/${secret}/start`);
  expect(listener.paths().slice(1).sort()).toEqual([`/hook/${secret}`, `/ping/${secret}`]);
  const printed = (await desk.bkp('operation', 'get', 'last', '--format', 'json')).stdout;
  expect(listener.calls.map(({body}) => body)).toEqual(['', printed, printed]);
  expect(JSON.parse(printed)).toMatchObject({id: 'fullbackup/1', status: 'SUCCESS', subject: 'c', issues: []});

  // The monitor is called for backups only.
  await desk.sqlWait('VERIFY c');
  await until(() => listener.calls.length === 4);
  expect(listener.calls[3]).toMatchObject({path: `/hook/${secret}`, body: expect.stringContaining('"kind":"verify"')});
});

test('after a failure the command gets the operation in stdin and environment, and no secret', async () => {
  const desk = openSecretDesk();
  const listener = await startListener();
  const note = join(desk.folder, 'note');
  await set(desk, 'notify.heartbeat', `${listener.url}/ping/${secret}`);
  await set(desk, 'notify.on_failure', noteTo(note));
  await desk.sql(createC(false));
  const env = {BKP_SOURCE: desk.database, BKP_CLUSTER: desk.cluster, AWS_SECRET_ACCESS_KEY: secret, AWS_REGION: 'eu'};
  await runBkp(['sql', '--wait', 'BACKUP c'], {home: desk.home, env, cwd: desk.folder});
  // Damages its data.
  for (const key of desk.storedKeys().filter((name) => name.startsWith('packs/'))) {
    writeFileSync(join(desk.cluster, key), 'x');
  }
  expect(await runBkp(['sql', '--wait', 'VERIFY c'], {home: desk.home, env, cwd: desk.folder})).toMatchObject({
    status: 13,
  });
  const [json, ...variables] = (await until(() => read(desk, 'note'))).trim().split('\n');
  expect(`${json}\n`).toBe((await desk.bkp('operation', 'get', 'last', '--format', 'json')).stdout);
  expect(JSON.parse(json!)).toMatchObject({kind: 'verify', status: 'ERROR'});
  expect(variables).toEqual([
    'AWS_REGION=eu',
    `BKP_HOME=${desk.home}`,
    'BKP_KIND=verify',
    'BKP_OPERATION_ID=verify/2',
    'BKP_STATUS=ERROR',
    'BKP_SUBJECT=c',
  ]);
  expect(listener.paths()).toEqual([`/ping/${secret}/start`, `/ping/${secret}`]);
});

test('a failed notification is a notice of the operation and a line in its log, and changes nothing else', async () => {
  const desk = openSecretDesk();
  const listener = await startListener(() => 404);
  await set(desk, 'notify.on_success', `exit 3 # ${secret}`);
  await set(desk, 'notify.heartbeat', `${listener.url}/ping/${secret}`);
  await desk.sql(createC(false));
  await desk.sqlWait('BACKUP c');
  const faults = [
    `notify.heartbeat (start) ${listener.url}/***: the server responded with 404`,
    'notify.on_success exit ***: the command ended with exit status 3',
    `notify.heartbeat ${listener.url}/***: the server responded with 404`,
  ];
  await eventually(async () => expect((await operation(desk, 'last')).issues).toHaveLength(3));
  expect(await operation(desk, 'last')).toMatchObject({
    status: 'SUCCESS',
    issues: faults.map((message) => ({message})),
  });
  const log = (await desk.bkp('operation', 'get', 'last', '--log')).stdout;
  for (const fault of faults) expect(log).toContain(fault);
  expect((await desk.bkp('operation', 'wait', 'last')).status).toBe(0);
});

test('an operation notifies the targets of its statement’s profile, whatever profile is active', async () => {
  const desk = openSecretDesk();
  const listener = await startListener();
  await desk.bkp('config', 'profile', 'create', 'prod');
  await desk.bkp('--profile', 'prod', 'config', 'set', 'notify.on_success', `${listener.url}/prod/${secret}`);
  await set(desk, 'notify.heartbeat', `${listener.url}/default/${secret}`);
  await desk.sql(createC(false));
  await desk.bkp('--profile', 'prod', 'sql', '--wait', 'BACKUP c');
  await until(() => listener.calls.length === 1);
  await desk.sqlWait('BACKUP c');
  await until(() => listener.calls.length === 3);
  expect(listener.paths()).toEqual([`/prod/${secret}`, `/default/${secret}/start`, `/default/${secret}`]);
});

test('a cancel is notified as a failure, and a killed worker once, by the process that finds it dead', async () => {
  const desk = openSecretDesk(slowSchema);
  const listener = await startListener();
  await desk.bkp('config', 'profile', 'create', 'prod');
  const prod = (...args: string[]) => desk.bkp('--profile', 'prod', ...args);
  await prod('config', 'set', 'notify.on_failure', `${listener.url}/hook/${secret}`);
  await prod('config', 'set', 'notify.heartbeat', `${listener.url}/ping/${secret}`);
  await prod('sql', "CREATE BACKUP COLLECTION c (TABLE big) WITH (STORAGE='cluster')");
  const ends = () => listener.calls.filter(({path}) => !path.endsWith('/start'));
  const backUp = () => prod('sql', 'BACKUP c');
  await whileHeld(desk, {give: backUp}, () => desk.bkp('operation', 'cancel', 'last'));
  await until(() => ends().length === 2);
  expect(
    ends()
      .map(({path}) => path)
      .sort(),
  ).toEqual([`/hook/${secret}`, `/ping/${secret}/fail`]);
  expect(ends().map(({body}) => JSON.parse(body))).toMatchObject([{status: 'CANCELLED'}, {status: 'CANCELLED'}]);

  listener.calls.length = 0;
  await whileHeld(desk, {give: backUp}, async (pid) => process.kill(pid, 'SIGKILL'));
  // Several processes check concurrently, none of them with the profile.
  const lists = await Promise.all([1, 2, 3].map(() => desk.bkp('operation', 'list')));
  expect(lists.map(({status}) => status)).toEqual([0, 0, 0]);
  // A killed process seems alive until the kernel has removed it; so the check is repeated.
  await eventually(async () => {
    await desk.bkp('operation', 'list');
    expect(ends()).toHaveLength(2);
  });
  await desk.bkp('operation', 'list');
  const printed = (await desk.bkp('operation', 'get', 'last', '--format', 'json')).stdout;
  expect(JSON.parse(printed)).toMatchObject({status: 'ERROR', issues: [{code: 'WORKER_DEAD'}]});
  expect(
    ends()
      .map(({path}) => path)
      .sort(),
  ).toEqual([`/hook/${secret}`, `/ping/${secret}/fail`]);
  expect(ends().map(({body}) => body)).toEqual([printed, printed]);
});

test('a worker that finds another one dead notifies the targets of that one’s profile, not its own', async () => {
  const desk = openSecretDesk();
  const listener = await startListener();
  await desk.bkp('config', 'profile', 'create', 'prod');
  await desk.bkp('--profile', 'prod', 'config', 'set', 'notify.on_failure', `${listener.url}/prod/${secret}`);
  const deps = testDeps(desk.home);
  onTestFinished(() => deps.close());
  const ownNames = JSON.stringify({BKP_NOTIFY_ON_FAILURE: `${listener.url}/own/${secret}`});
  const env = {...bareEnv(desk), BKP_WORKER_NOTIFY: ownNames};
  await launchNotifier(
    {...deps, env},
    await addFailed(await deps.journal(), {work: {...orderAt(placeIn('s3')), profile: 'prod'}}),
  );
  await until(() => listener.calls.length > 0);
  expect(listener.paths()).toEqual([`/prod/${secret}`]);
});

test('if the profile was removed, the operation’s log says that no notification was sent', async () => {
  const desk = openSecretDesk();
  const deps = testDeps(desk.home);
  onTestFinished(() => deps.close());
  const operation = await addFailed(await deps.journal(), {work: {...orderAt(placeIn('s3')), profile: 'gone'}});
  await launchNotifier(deps, operation);
  expect(readFileSync(operation.logFile, 'utf8')).toMatch(/could not be sent: .*there is no profile "gone"/);
});
