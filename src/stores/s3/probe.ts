import {BkpError} from '../../errors/index.ts';
import {type ProbePoint, probeKey} from '../probe-point.ts';
import type {Store} from '../store.ts';
import {bucketSettings} from './bucket-settings.ts';
import {by, S3Connection} from './connection/connection.ts';
import {rightNeeded} from './connection/errors.ts';
import {features} from './connection/features.ts';
import type {S3StoreOptions} from './options.ts';
import {openS3Store} from './s3.ts';

const probeBytes = Buffer.from('bkp store check wrote this, and may not remove it. It is not needed.\n');

/** Leases and locks compare clocks; a slow reply does not explain more than this. */
const tolerableSkewMs = 60_000;

/** Short, because a user waits for the result. */
const probePatienceMs = 10_000;

/**
 * Checks a bucket as a store: that it responds and accepts the key, writes, lists and reads what was just written,
 * honours conditional writes, removes objects, has the same clock, and what its settings do to objects.
 *
 * A missing feature that bkp can do without is reported, and is not a fault. Skips checks that an earlier failure
 * makes meaningless. Leaves no object behind if it may remove objects.
 */
export async function probeS3(options: S3StoreOptions): Promise<readonly ProbePoint[]> {
  const patient = {
    ...options,
    timeouts: {...options.timeouts, patienceMs: options.timeouts?.patienceMs ?? probePatienceMs},
  };
  let connection: S3Connection;
  let store: Store;
  try {
    connection = await S3Connection.open(patient);
    store = await openS3Store(patient);
  } catch (error) {
    return [fault('server', error)];
  }
  const [server, clock] = await reach(connection, options.root);
  if (!server.ok) return [server];

  const points = [server, ...(clock === undefined ? [] : [clock])];
  const written = await attempt('write', 'an object can be written', () => store.put(probeKey, probeBytes));
  points.push(written);
  if (written.ok) {
    points.push(
      await attempt('list after write', 'an object is listed as soon as it is written', () => listsIt(store)),
      await attempt('read', 'the bytes read back as written', () => readsIt(store)),
      await attempt('ranged read', 'parts of objects can be read', () => readsPart(store)),
      await conditionalPut(store),
      await removal(store),
    );
  }
  points.push(...lacking(store));
  points.push(...(await bucketSettings(connection, options)));
  return points;
}

/**
 * The first request checks most: name, certificate, key, region, bucket, permission to list; and the server's
 * clock.
 */
async function reach(connection: S3Connection, root: string): Promise<[ProbePoint, ProbePoint?]> {
  let date = '';
  try {
    await connection.callWith({call: 'ListObjectsV2', doing: 'be listed'}, ['listV2'], async (uses, attempt) => {
      const {sdk, client, bucket} = connection;
      const input = {Bucket: bucket, Prefix: root === '' ? '' : `${root}/`, MaxKeys: 1};
      if (uses('listV2')) await client.send(new sdk.ListObjectsV2Command(input), by(attempt));
      else await client.send(new sdk.ListObjectsCommand(input), by(attempt));
      date = attempt.headers?.date ?? '';
    });
  } catch (error) {
    return [fault('server', error)];
  }
  const server = {what: 'server', ok: true, detail: 'responds, accepts the access key, and has the bucket'};
  const serverMs = Date.parse(date);
  if (Number.isNaN(serverMs)) return [server];
  const skewMs = connection.clock.wallMs() - serverMs;
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  if (Math.abs(skewMs) <= tolerableSkewMs) {
    // The header has whole seconds only.
    return [server, {what: 'clock', ok: true, detail: `within ${Math.max(1, seconds)} s of the server's`}];
  }
  const detail = `this machine's clock is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} the server's`;
  return [server, {what: 'clock', ok: false, detail, next: 'set the clock: timedatectl set-ntp true'}];
}

async function listsIt(store: Store): Promise<void> {
  for await (const {key, sizeBytes} of store.list('probe/')) {
    if (key === probeKey && sizeBytes === probeBytes.length) return;
  }
  throw new Error('an object that was just written is not listed');
}

async function readsIt(store: Store): Promise<void> {
  if (!probeBytes.equals(await store.get(probeKey))) throw new Error('the bytes read differ from those written');
}

async function readsPart(store: Store): Promise<void> {
  const part = await store.get(probeKey, {start: 4, end: 9});
  if (!probeBytes.subarray(4, 9).equals(part)) throw new Error('the bytes read differ from those requested');
}

/** If the server ignores the condition, it writes the same bytes again, which is harmless. */
async function conditionalPut(store: Store): Promise<ProbePoint> {
  const what = 'conditional put';
  try {
    const outcome = await store.put(probeKey, probeBytes, {ifAbsent: true});
    if (outcome === 'exists') return {what, ok: true, detail: 'only one writer can create a name'};
    const how = store.refusesConditions?.() ? 'refused' : 'ignored';
    return {what, ok: true, detail: `${how} by this server: bkp checks first, and its leases decide who writes`};
  } catch (error) {
    return fault(what, error);
  }
}

/** Without conditional puts, which have their own point. */
function lacking(store: Store): ProbePoint[] {
  const left = (store.traffic?.().lacking ?? []).filter((what) => what !== features.conditions);
  return left.map((what) => ({what, ok: true, detail: 'refused by this server: bkp works without it'}));
}

async function removal(store: Store): Promise<ProbePoint> {
  const what = 'remove';
  try {
    const [retained] = await store.delete([probeKey]);
    if (retained === undefined) return {what, ok: true, detail: 'objects can be removed'};
    const untilText = new Date(retained.untilMs).toISOString();
    return {
      what,
      ok: false,
      detail: `the bucket locks every object by default, also leases (until ${untilText})`,
      next:
        'remove the default retention from the bucket, and set backup.object.store.lock: ' +
        'bkp then locks the objects of backups',
    };
  } catch (error) {
    if (!(error instanceof BkpError) || error.code !== 'STORE_DENIED') return fault(what, error);
    return {
      what,
      ok: true,
      detail:
        'this key may not remove objects, so backups are append-only; ' +
        `cleanup needs a key with ${rightNeeded('DeleteObjects')}`,
    };
  }
}

async function attempt(what: string, good: string, work: () => Promise<unknown>): Promise<ProbePoint> {
  try {
    await work();
    return {what, ok: true, detail: good};
  } catch (error) {
    return fault(what, error);
  }
}

function fault(what: string, error: unknown): ProbePoint {
  if (!(error instanceof BkpError)) return {what, ok: false, detail: (error as Error).message};
  const cause = typeof error.cause === 'string' ? `: ${error.cause}` : '';
  return {
    what,
    ok: false,
    detail: error.message + cause,
    ...(error.next === undefined ? {} : {next: error.next}),
  };
}
