/**
 * npm run bench:s3 -- [--gib 1] [--rounds 3] [--data FOLDER] [--upload-only]
 *
 * Takes the same backup into the cluster directory, into MinIO and into versitygw on this machine, in one run:
 * full, 1 % of scattered changes, restore, a copy from the directory; rclone copies the same bytes. Prints
 * medians, ratios by round, the servers' CPU time, and every request of an increment.
 */
import {existsSync, mkdirSync, readFileSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {serverFile} from '../scripts/servers.js';
import {changeShop} from '../src/commands/demo/shop.ts';
import {type S3Server, startMinio, startVersitygw} from '../test/servers/s3-server.ts';
import {shopDatabase} from './data.ts';
import {folderBytes, median, type Run, run} from './measure.ts';
import {countRequests} from './request-count.ts';
import {copyDatabase} from './tools.ts';

const {values} = parseArgs({
  options: {
    gib: {type: 'string', default: '1'},
    rounds: {type: 'string', default: '3'},
    data: {type: 'string', default: join(import.meta.dirname, 'data')},
    'upload-only': {type: 'boolean', default: false},
  },
});
const entry = join(import.meta.dirname, '..', 'bin', 'bkp.js');
const database = shopDatabase(values.data, Number(values.gib));
const work = join(values.data, 's3-work');
const clusterFolder = join(work, 'home-directory', 'cluster');

/** One kind of store: its name, and the environment and flags that select it. */
type Target = {name: string; env: Record<string, string>; flags: readonly string[]; server?: S3Server};
type Figure = Run & {serverCpuSeconds?: number};

const figures = new Map<string, Map<string, Figure[]>>();
let storedMiB = 0;

for (let round = 0; round < Number(values.rounds); round++) {
  console.error(`round ${round + 1} of ${values.rounds}`);
  await playRound(round);
}
report();

async function playRound(number: number): Promise<void> {
  rmSync(work, {recursive: true, force: true});
  mkdirSync(work, {recursive: true});
  const servers = [await startMinio(), await startVersitygw()];
  try {
    const shop = join(work, 'shop.db');
    copyDatabase(database, shop);
    const cluster: Target = {name: 'directory', env: {}, flags: ['--store', 'cluster']};
    const targets = [cluster, ...(await Promise.all(servers.map(targetOf)))];
    targets.push(...targets.splice(0, number % targets.length));
    for (const target of targets) {
      const storage = target === cluster ? 'cluster' : 's3';
      const settings = `STORAGE='${storage}', INCREMENTAL_BACKUP_ENABLED='true'`;
      const create = `CREATE BACKUP COLLECTION shop DATABASE WITH (${settings})`;
      await bkp(target, shop, ['sql', create]);
    }
    for (const target of targets) await step('full', target, () => sql(target, shop, 'BACKUP shop'));
    storedMiB = folderBytes(clusterFolder) / 2 ** 20;
    await copies(cluster, servers, shop);
    if (values['upload-only']) return;
    console.error(changeShop(shop));
    for (const target of targets) {
      await step('next after 1 %', target, () => sql(target, shop, 'BACKUP shop INCREMENTAL'));
    }
    for (const target of targets) {
      const restored = join(work, `restored-${target.name}.db`);
      await step('restore', target, () => sql(target, restored, 'RESTORE shop'));
      rmSync(restored, {force: true});
    }
    if (number === 0) await requestsOfAnIncrement(servers[0]!);
  } finally {
    for (const server of servers) await server.stop();
  }
}

async function targetOf(server: S3Server): Promise<Target> {
  return {
    name: server.name,
    env: {BKP_STORE: storeText(server, await server.bucket())},
    flags: ['--store', 's3'],
    server,
  };
}

function storeText({endpoint, region, keys}: S3Server, bucket: string, port?: number): string {
  const at = port === undefined ? endpoint : `http://127.0.0.1:${port}`;
  const {accessKeyId, secretAccessKey} = keys;
  return (
    `s3::bucket=${bucket};region=${region};endpoint=${at};access_key_id=${accessKeyId};` +
    `secret_access_key=${secretAccessKey};`
  );
}

/** Copies the directory's backup to each server, with COPY and with rclone: the same bytes. */
async function copies(cluster: Target, servers: readonly S3Server[], shop: string): Promise<void> {
  for (const server of servers) {
    const to: Target = {
      name: server.name,
      env: {BKP_STORE: storeText(server, await server.bucket())},
      flags: [],
      server,
    };
    const from = {...to, env: {...cluster.env, ...to.env}, home: cluster.name};
    await step('copy by COPY', to, () => sql(from, shop, "COPY BACKUP COLLECTION shop TO 's3'"));
    const text = storeText(server, await server.bucket());
    const put = [process.execPath, join(import.meta.dirname, 'put-folder.ts'), clusterFolder, text];
    await step('copy by the store alone', to, () => run(put));
    const rclone = serverFile('rclone');
    if (!existsSync(rclone)) {
      console.error(`rclone left out: node scripts/servers.js rclone`);
      continue;
    }
    const bucket = await server.bucket();
    const {accessKeyId, secretAccessKey} = server.keys;
    const env = {
      RCLONE_CONFIG: '/dev/null',
      RCLONE_CONFIG_S3_TYPE: 's3',
      RCLONE_CONFIG_S3_PROVIDER: 'Other',
      RCLONE_CONFIG_S3_ENDPOINT: server.endpoint,
      RCLONE_CONFIG_S3_REGION: server.region,
      RCLONE_CONFIG_S3_ACCESS_KEY_ID: accessKeyId,
      RCLONE_CONFIG_S3_SECRET_ACCESS_KEY: secretAccessKey,
    };
    await step('copy by rclone', to, () => run([rclone, 'copy', clusterFolder, `s3:${bucket}`], {env}));
  }
}

/** Takes a full backup through the counter, then an increment of 1 % changes, and prints the increment's requests. */
async function requestsOfAnIncrement(server: S3Server): Promise<void> {
  const shop = join(work, 'counted-shop.db');
  copyDatabase(database, shop);
  const counter = await countRequests(server.port);
  const env = {BKP_STORE: storeText(server, await server.bucket(), counter.port)};
  const target: Target = {name: 'counted', env, flags: ['--store', 's3']};
  await bkp(target, shop, [
    'sql',
    "CREATE BACKUP COLLECTION shop DATABASE WITH (STORAGE='s3', INCREMENTAL_BACKUP_ENABLED='true')",
  ]);
  await sql(target, shop, 'BACKUP shop');
  tellRequests('a full backup', counter.take());
  console.error(changeShop(shop));
  await sql(target, shop, 'BACKUP shop INCREMENTAL');
  tellRequests('an increment of 1 %, statement and worker', counter.take());
  await sql(target, join(work, 'counted.db'), 'RESTORE shop');
  tellRequests('a restore', counter.take());
  await counter.close();
}

function tellRequests(what: string, counts: Map<string, number>): void {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const list = [...counts].sort(([, a], [, b]) => b - a).map(([name, count]) => `${count} ${name}`);
  console.log(`requests of ${what}: ${total} (${list.join(', ')})`);
}

async function step(name: string, target: Target, act: () => Promise<Run>): Promise<void> {
  const before = target.server === undefined ? 0 : cpuSecondsOf(target.server.pid());
  const done = await act();
  const server = target.server === undefined ? {} : {serverCpuSeconds: cpuSecondsOf(target.server.pid()) - before};
  const tools = figures.get(name) ?? new Map<string, Figure[]>();
  tools.set(target.name, [...(tools.get(target.name) ?? []), {...done, ...server}]);
  figures.set(name, tools);
}

/** User and system time of a running process. Fields 14 and 15 of proc(5) stat, in ticks of 10 ms. */
function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function bkp(target: Target & {home?: string}, source: string, args: readonly string[]): Promise<Run> {
  const env = {BKP_HOME: join(work, `home-${target.home ?? target.name}`), BKP_SOURCE: source, ...target.env};
  return run([process.execPath, entry, ...target.flags, ...args], {env});
}

async function sql(target: Target & {home?: string}, source: string, statement: string): Promise<Run> {
  const done = await bkp(target, source, ['sql', '--wait', statement]);
  const log = (await bkp(target, source, ['operation', 'get', 'last', '--log'])).stdout;
  const used = /used ([\d.]+) s of CPU, at most (\d+) MiB/.exec(log);
  return used === null ? done : {...done, cpuSeconds: Number(used[1]), peakMiB: Number(used[2])};
}

function report(): void {
  console.log(`\n${storedMiB.toFixed(0)} MiB stored by the full backup\n`);
  console.log('| step | store | wall s | client CPU s | server CPU s | peak MiB | wall, against the directory |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const [name, tools] of figures) {
    for (const [tool, runs] of tools) {
      const of = (field: 'wallSeconds' | 'cpuSeconds' | 'serverCpuSeconds' | 'peakMiB', digits: number) => {
        const found = runs.map((one) => one[field]).filter((value) => value !== undefined);
        return found.length === 0 ? '' : median(found).toFixed(digits);
      };
      const base = tools.get('directory');
      const ratios = base === undefined ? [] : runs.map((one, at) => one.wallSeconds / base[at]!.wallSeconds);
      const against =
        ratios.length === 0 ? '' : `${median(ratios).toFixed(2)} (${ratios.map((r) => r.toFixed(2)).join(', ')})`;
      console.log(
        `| ${name} | ${tool} | ${of('wallSeconds', 2)} | ${of('cpuSeconds', 2)} | ` +
          `${of('serverCpuSeconds', 2)} | ${of('peakMiB', 0)} | ${against} |`,
      );
    }
  }
  const cpu = (name: string, tool: string) =>
    median(
      figures
        .get(name)
        ?.get(tool)
        ?.map((one) => one.cpuSeconds ?? Number.NaN) ?? [Number.NaN],
    );
  console.log(
    '\n| client CPU, ms a MiB stored | store alone | rclone copy | COPY, which decodes and checks |' +
      '\n| --- | --- | --- | --- |',
  );
  for (const tool of ['minio', 'versitygw']) {
    const perMiB = (name: string) => ((cpu(name, tool) * 1000) / storedMiB).toFixed(2);
    console.log(
      `| ${tool} | ${perMiB('copy by the store alone')} | ${perMiB('copy by rclone')} | ${perMiB('copy by COPY')} |`,
    );
  }
}
