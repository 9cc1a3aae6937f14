import type {Key, ObjectFacts, Store} from '../../stores/index.ts';
import {removeIfAllowed} from '../../stores/index.ts';
import {isDamage} from '../format/damage.ts';
import {isManifestKey, manifestPrefixes} from '../format/key.ts';
import {readManifest} from '../format/manifest.ts';

// A manifest may arrive long after its writer was taken for dead, when what it needs is gone. So a writer says first what it is
// about to commit, and the next collector that finds that unfinished decides, once and for all, whether the manifest counts.
// Why that is enough stands in docs/format.md.

const names = {pending: 'pending', verdict: 'verdict'} as const;

type Verdict = 'counts' | 'void';

const besides = (manifest: Key, name: keyof typeof names, lease: string): Key =>
  `${manifest.slice(0, -'manifest'.length)}${names[name]}/${lease}`;

/** Put before the manifest, and removed when the manifest was seen to be there under a lease that is still held. */
export const pendingKey = (manifest: Key, lease: string): Key => besides(manifest, 'pending', lease);

const verdictKey = (manifest: Key, lease: string): Key => besides(manifest, 'verdict', lease);

/** What is beside a manifest, by its key. */
function parseBeside(key: Key): {what: keyof typeof names; manifest: Key; lease: string} | undefined {
  const parts = key.split('/');
  const lease = parts.pop()!;
  const what = parts.pop();
  if (what !== names.pending && what !== names.verdict) return undefined;
  const manifest = `${parts.join('/')}/manifest`;
  return isManifestKey(manifest) ? {what, manifest, lease} : undefined;
}

/**
 * Decides whether a manifest of a lease that is over counts. Of several that decide the first one does, for all.
 * @returns what holds
 */
async function decide(store: Store, manifest: Key, lease: string, proposal: Verdict): Promise<Verdict> {
  const key = verdictKey(manifest, lease);
  const put = await store.put(key, Buffer.from(proposal), {ifAbsent: true, retained: true});
  return put === 'written' ? proposal : readVerdict(store, key);
}

async function readVerdict(store: Store, key: Key): Promise<Verdict> {
  return Buffer.from(await store.get(key)).toString() === 'counts' ? 'counts' : 'void';
}

/**
 * A writer's own manifest, of which it does not know any more whether it may count.
 * @returns true when it does
 */
export async function withdraw(store: Store, manifest: Key, lease: string): Promise<boolean> {
  if ((await decide(store, manifest, lease, 'void')) === 'counts') return true;
  await removeIfAllowed(store, [manifest]);
  return false;
}

/** Below a prefix: what people name and what counts of it, and what does not. */
export type Named = {counted: readonly ObjectFacts[]; voided: readonly Key[]};

/** Every manifest that counts, and every document. What is beside manifests is not shown. */
export async function* listCounted(store: Store, prefix: string, onVoided?: (key: Key) => void) {
  let held: ObjectFacts | undefined;
  let verdicts: Key[] = [];
  for await (const facts of store.list(prefix)) {
    const beside = parseBeside(facts.key);
    if (beside !== undefined) {
      if (beside.what === 'verdict' && beside.manifest === held?.key) verdicts.push(facts.key);
      continue;
    }
    yield* released();
    held = facts;
  }
  yield* released();

  /** The one before, when all that is beside it was seen. */
  async function* released(): AsyncGenerator<ObjectFacts> {
    if (held === undefined) return;
    if (verdicts.length === 0 || !(await isVoid(store, held.key, verdicts))) yield held;
    else onVoided?.(held.key);
    verdicts = [];
    held = undefined;
  }
}

async function isVoid(store: Store, manifest: Key, verdicts: readonly Key[]): Promise<boolean> {
  const lease = await leaseOf(store, manifest);
  const own = lease === undefined ? undefined : verdicts.find((key) => key === verdictKey(manifest, lease));
  return own !== undefined && (await readVerdict(store, own)) === 'void';
}

/** @returns undefined when it is gone, damaged, or older than leases in manifests */
async function leaseOf(store: Store, manifest: Key): Promise<string | undefined> {
  try {
    return (await readManifest(store, manifest)).lease;
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}

/**
 * Decides about all that was begun and not seen to end. To be called by a collector that holds its lease: whoever began it holds
 * none any more.
 */
export async function decidePending(store: Store): Promise<void> {
  const settled: Key[] = [];
  for (const prefix of manifestPrefixes) {
    const present = new Set<Key>();
    for await (const {key} of store.list(prefix)) {
      if (isManifestKey(key)) present.add(key);
      const beside = parseBeside(key);
      if (beside === undefined) continue;
      const {what, manifest, lease} = beside;
      const isThere = present.has(manifest);
      if (what === 'pending') {
        const isOurs = isThere && (await leaseOf(store, manifest)) === lease;
        await decide(store, manifest, lease, isOurs ? 'counts' : 'void');
        settled.push(key);
      } else if (!isThere && (await readVerdict(store, key)) === 'counts') settled.push(key);
    }
  }
  // That a manifest is void is kept: it may still arrive.
  await removeIfAllowed(store, settled);
}
