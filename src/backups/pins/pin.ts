import * as v from 'valibot';
import {BkpError} from '../../errors/index.ts';
import {count, name, parsed, text, time} from '../../lib/schema.ts';
import type {Key} from '../../stores/index.ts';
import {damaged, type JsonValue, type Manifest, type VaultReader, type VaultWriter} from '../../vault/index.ts';
import {isUnreadable} from '../readable.ts';
import {type PinObject, pinKey} from './keys.ts';

/**
 * A pin: its backup is not removed until the pin ends. It is a second manifest of the backup, so that everything that
 * the backup needs stays, whichever version of bkp cleans up, and even if the first manifest is removed.
 */
export type Pin = {
  backup: string;
  generation: number;
  key: Key;
  pinnedAt: string;
  /** Absent: until UNPIN. */
  until?: string;
  reason?: string;
};

const kind = 'pin';
const bodySchema = v.object({
  version: v.literal(1),
  backup: name,
  generation: v.pipe(count, v.minValue(1)),
  pinnedAt: time,
  until: v.exactOptional(time),
  reason: v.exactOptional(text),
  /** The manifest that is pinned. */
  of: v.object({kind: name, body: v.custom<JsonValue>(() => true)}),
});
type Body = v.InferOutput<typeof bodySchema>;

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` */
async function readBody(vault: VaultReader, {key, backup, generation}: PinObject): Promise<Manifest & {body: Body}> {
  const manifest = await vault.manifest(key);
  if (manifest.kind !== kind) throw damaged(key, `it is a manifest of kind ${manifest.kind}, not ${kind}`);
  const body = parsed<Body>(bodySchema, manifest.body, (why) => damaged(key, why));
  if (body.backup !== backup || body.generation !== generation) throw damaged(key, 'it is of another pin');
  return {...manifest, body};
}

/** The pins that no `unpinned` ended, whether or not their time is over, by their backups. */
export async function readPins(vault: VaultReader, objects: readonly PinObject[]): Promise<ReadonlyMap<string, Pin>> {
  const pins = new Map<string, Pin>();
  for (const object of newestOfEach(objects)) {
    if (object.what === 'unpinned') continue;
    const {backup, generation, key} = object;
    try {
      const {pinnedAt, until, reason} = (await readBody(vault, object)).body;
      pins.set(backup, {
        ...{backup, generation, key, pinnedAt},
        ...(until === undefined ? {} : {until}),
        ...(reason === undefined ? {} : {reason}),
      });
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      // Removed since it was listed. What cannot be read may be a pin without an end.
      if (error.code === 'OBJECT_MISSING') continue;
      pins.set(backup, {backup, generation, key, pinnedAt: '', reason: `the pin cannot be read: ${error.message}`});
    }
  }
  return pins;
}

/** True if the pin still protects its backup. */
export const isInForce = ({until}: Pin, nowMs: number) => until === undefined || Date.parse(until) > nowMs;

/** `pinned until 2027-01-01T00:00:00Z: before the migration`. */
export function pinUntil({until, reason}: Pin): string {
  const end = until === undefined ? '' : ` until ${until.replace(/\.000Z$/, 'Z')}`;
  return `pinned${end}${reason === undefined ? '' : `: ${reason}`}`;
}

/** Of two objects of one generation, which only a race can leave, the pin counts. */
export function newestOfEach(objects: readonly PinObject[]): readonly PinObject[] {
  const newest = new Map<string, PinObject>();
  for (const object of objects) {
    const {generation = 0, what} = newest.get(object.backup) ?? {};
    if (object.generation > generation || (object.generation === generation && what === 'unpinned'))
      newest.set(object.backup, object);
  }
  return [...newest.values()];
}

/**
 * The manifest of a backup that has lost its own, from its newest pin.
 * @param objects the pins of one backup
 */
export async function pinnedManifest(vault: VaultReader, objects: readonly PinObject[]): Promise<Manifest | undefined> {
  const [newest] = newestOfEach(objects);
  if (newest?.what !== 'pin') return undefined;
  const {streams, body} = await readBody(vault, newest);
  return {kind: body.of.kind, streams, body: body.of.body};
}

/**
 * Commits a pin as a backup is committed: when it resolves, everything that the backup needs is in the store and is
 * named by a second manifest.
 * @param pin.manifest of the backup
 * @throws BkpError `BUSY` | `OBJECT_MISSING` | `OBJECT_DAMAGED`
 */
export async function commitPin(
  writer: VaultWriter,
  folder: string,
  pin: Pick<Pin, 'backup' | 'generation' | 'pinnedAt' | 'until' | 'reason'> & {manifest: Manifest; label: string},
): Promise<void> {
  const {manifest, label, ...facts} = pin;
  const {backup, generation} = pin;
  const body = {version: 1, ...facts, of: {kind: manifest.kind, body: manifest.body}} as unknown as JsonValue;
  const key = pinKey(folder, {backup, generation, what: 'pin'});
  try {
    if ((await writer.commit(key, {kind, streams: manifest.streams, body})) === 'written') return;
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    throw new BkpError(error.code, `${label} was not pinned: data that it needs is missing or damaged`, {
      cause: error,
      next: 'pin another backup: a verification names the sound ones',
    });
  }
  throw pinnedMeanwhile(label);
}

/**
 * The number of the next pin or of its end. The first one is random: a late removal of a pin that ended must not hit
 * one that was made again.
 * @param objects the pins of one backup
 */
export function nextPinGeneration(objects: readonly PinObject[], {id}: VaultWriter): number {
  const newest = Math.max(0, ...objects.map(({generation}) => generation));
  return newest > 0 ? newest + 1 : 1 + Number.parseInt(id.slice(0, 6), 16);
}

/** @throws BkpError `BUSY` */
export async function putUnpinned(
  writer: VaultWriter,
  folder: string,
  {label, at, ...object}: Pick<PinObject, 'backup' | 'generation'> & {label: string; at: string},
): Promise<void> {
  const key = pinKey(folder, {...object, what: 'unpinned'});
  if ((await writer.putDocument(key, {version: 1, ...object, at})) === 'exists') throw pinnedMeanwhile(label);
}

const pinnedMeanwhile = (label: string) =>
  new BkpError('BUSY', `another bkp pinned or unpinned ${label} at the same time`, {
    next: 'try again',
    retryable: true,
  });
