import * as v from 'valibot';
import {count, parsed, text, time} from '../../lib/schema.ts';
import type {Key, Store} from '../../stores/index.ts';
import {damaged} from '../format/damage.ts';
import {isId} from '../format/hash.ts';
import {verifiedPrefix} from '../format/key.ts';
import {readDocument, sealDocument} from '../format/manifest.ts';
import type {PackId} from '../types.ts';
import type {VerifiedPack} from './ledger.ts';

/** What one document of the ledger says. */
export type LedgerDocument = {
  /** Documents whose content is in this one. */
  replaces: readonly Key[];
  runs: ReadonlyMap<number, readonly VerifiedPack[]>;
};

const version = 1;

const pack = v.custom<PackId>((value) => isId(value), 'Invalid pack id');
const ranges = v.pipe(
  v.array(count),
  v.check((all) => all.length % 2 === 0, 'Invalid ranges'),
);
const schema = v.object({
  version: v.literal(version),
  replaces: v.array(text),
  runs: v.array(v.object({at: time, packs: v.array(pack), parts: v.array(v.tuple([pack, ranges]))})),
});
type Stored = {
  version: 1;
  replaces: Key[];
  runs: {at: string; packs: PackId[]; parts: [PackId, number[]][]}[];
};

/** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED`, also for one that a newer bkp wrote */
export async function readLedgerDocument(store: Store, key: Key): Promise<LedgerDocument> {
  const stored = parsed<Stored>(schema, await readDocument(store, key), (why) => damaged(key, why));
  const runs = new Map<number, VerifiedPack[]>();
  for (const {at, packs, parts} of stored.runs) {
    const atMs = Date.parse(at);
    const run = runs.get(atMs) ?? [];
    runs.set(atMs, run);
    for (const one of packs) run.push({pack: one});
    for (const [one, of] of parts) run.push({pack: one, ranges: of});
  }
  return {replaces: stored.replaces, runs};
}

/** @returns the key of the new document, and its bytes */
export async function writeLedgerDocument(
  store: Store,
  {replaces, runs}: LedgerDocument,
  {nowMs, id}: {nowMs: number; id: string},
): Promise<Key> {
  const stored: Stored = {
    version,
    replaces: [...replaces],
    runs: [...runs].map(([atMs, verified]) => ({
      at: new Date(atMs).toISOString(),
      packs: verified.filter((one) => one.ranges === undefined).map((one) => one.pack),
      parts: verified.flatMap((one): [PackId, number[]][] => (one.ranges ? [[one.pack, [...one.ranges]]] : [])),
    })),
  };
  const key = `${verifiedPrefix}${stamp(nowMs)}-${id}`;
  await store.put(key, await sealDocument(stored), {ifAbsent: true});
  return key;
}

/** `20261121T091500Z`. */
const stamp = (ms: number) => `${new Date(ms).toISOString().slice(0, -5).replace(/[-:]/g, '')}Z`;
