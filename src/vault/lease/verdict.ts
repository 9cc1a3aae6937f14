import type {BkpError} from '../../errors/index.ts';
import type {Key, ListOptions, ObjectFacts, Store} from '../../stores/index.ts';
import {putAndRead, removeIfAllowed} from '../../stores/index.ts';
import {damaged, isDamage, unlessDamaged} from '../format/damage.ts';
import {collectionsPrefix, isManifestKey, manifestPrefixes} from '../format/key.ts';
import {readManifest} from '../format/manifest.ts';

// A manifest may arrive long after its writer was taken for dead, when the packs it needs have been removed. So
// a writer first notes what it is about to commit, and the next collector that finds an unfinished note
// decides, once and for all, whether the manifest counts. docs/format.md explains why that is enough.

const names = {pending: 'pending', verdict: 'verdict'} as const;

type Verdict = 'counts' | 'void';

const besides = (manifest: Key, name: keyof typeof names, lease: string): Key =>
  `${manifest.slice(0, -'manifest'.length)}${names[name]}/${lease}`;

/**
 * Put before the manifest; removed when the manifest is known to be in the store under a lease that is still
 * held.
 */
export const pendingKey = (manifest: Key, lease: string): Key => besides(manifest, 'pending', lease);

const verdictKey = (manifest: Key, lease: string): Key => besides(manifest, 'verdict', lease);

/** Beside a verdict `counts`, which a late put may bring back, there is this one too. */
const removedKey = (manifest: Key, lease: string): Key => `${verdictKey(manifest, lease)}${removedSuffix}`;

const removedSuffix = '-removed';

/** Before a manifest is removed that another process may put once more: it never counts again. */
export async function voidForEver(store: Store, manifest: Key): Promise<void> {
  const lease = await leaseOf(store, manifest);
  if (lease !== undefined) await putRemoved(store, {manifest, lease}, 'void');
}

/** For so long, an object that was removed may arrive once more, by an earlier copy of its put. */
export const lateMs = 7 * 24 * 60 * 60 * 1000;

/**
 * After a manifest was removed that its writer may have put twice: the other put may arrive now, when nothing protects
 * what it needs.
 * @param counted `void`: it never counts again. `counts`: until this verdict is removed some day, because append-only
 *   keys leave `pending` beside every manifest
 */
async function putRemoved(
  store: Store,
  {manifest, lease}: {manifest: Key; lease: string},
  counted: Verdict,
): Promise<void> {
  await putAndRead(store, removedKey(manifest, lease), Buffer.from(counted), {ifAbsent: true});
}

/** A key beside a manifest: the note of a writer, or a verdict. */
function parseBeside(key: Key): {what: keyof typeof names; manifest: Key; lease: string} | undefined {
  const parts = key.split('/');
  const lease = parts.pop()!;
  const what = parts.pop();
  if (what !== names.pending && what !== names.verdict) return undefined;
  const manifest = `${parts.join('/')}/manifest`;
  return isManifestKey(manifest) ? {what, manifest, lease} : undefined;
}

/**
 * Decides whether a manifest of an ended lease counts. If several processes decide, the first verdict is valid
 * for all.
 * @returns the valid verdict
 */
async function decide(store: Store, manifest: Key, lease: string, proposal: Verdict): Promise<Verdict> {
  const key = verdictKey(manifest, lease);
  const put = await putAndRead(store, key, Buffer.from(proposal), {ifAbsent: true, retained: true});
  return put === 'written' ? proposal : readVerdict(store, key);
}

/** @throws BkpError `OBJECT_DAMAGED` for anything but the two words: it may have no hash that would show damage */
async function readVerdict(store: Store, key: Key): Promise<Verdict> {
  const text = Buffer.from(await store.get(key)).toString();
  if (text !== 'counts' && text !== 'void') throw damaged(key, 'it is no verdict');
  return text;
}

/**
 * Withdraws a writer's own manifest, when the writer no longer knows whether its put arrived under a valid lease.
 * @returns true when another process has already decided that the manifest counts
 */
export async function withdraw(store: Store, manifest: Key, lease: string): Promise<boolean> {
  if ((await decide(store, manifest, lease, 'void')) === 'counts') return true;
  await removeIfAllowed(store, [manifest]);
  return false;
}

/** Lists every manifest that counts, and every document; not the notes and verdicts beside manifests. */
export async function* listCounted(
  store: Store,
  prefix: string,
  {after, onVoided, onVerdict}: ListOptions & {onVoided?: (key: Key) => void; onVerdict?: (key: Key) => void} = {},
) {
  let held: ObjectFacts | undefined;
  let verdicts: Key[] = [];
  /** Other objects in the folder of the held one: its reports come before its verdicts. */
  let others: ObjectFacts[] = [];
  for await (const facts of store.list(prefix, {after})) {
    const beside = parseBeside(facts.key);
    if (beside !== undefined) {
      if (beside.what === 'verdict') onVerdict?.(facts.key);
      if (beside.what === 'verdict' && beside.manifest === held?.key) verdicts.push(facts.key);
      continue;
    }
    if (held !== undefined && isManifestKey(held.key) && facts.key.startsWith(held.key.slice(0, -'manifest'.length))) {
      others.push(facts);
      continue;
    }
    yield* released();
    held = facts;
  }
  yield* released();

  /** Yields the previous object, when everything beside it has been listed, and then the other ones there. */
  async function* released(): AsyncGenerator<ObjectFacts> {
    if (held === undefined) return;
    if (verdicts.length === 0 || !(await isVoid(store, held.key, verdicts))) yield held;
    else onVoided?.(held.key);
    yield* others;
    verdicts = [];
    others = [];
    held = undefined;
  }
}

async function isVoid(store: Store, manifest: Key, verdicts: readonly Key[]): Promise<boolean> {
  const lease = await leaseOf(store, manifest);
  if (lease === undefined) return false;
  if (verdicts.includes(removedKey(manifest, lease))) return true;
  const own = verdicts.find((key) => key === verdictKey(manifest, lease));
  // One that cannot be read hides no backup, which may be the only one: VERIFY and RESTORE check all that it needs.
  return own !== undefined && (await unlessDamaged(readVerdict(store, own))) === 'void';
}

/** Whether a manifest, which may be gone, once did not count. */
export async function hasVoidVerdict(store: Store, manifest: Key): Promise<boolean> {
  for await (const {key} of store.list(`${manifest.slice(0, -'manifest'.length)}${names.verdict}/`)) {
    if ((await unlessDamaged(readVerdict(store, key))) === 'void') return true;
  }
  return false;
}

/**
 * An error for each verdict that cannot be read. Its manifest counts: see `isVoid`.
 * @param listed verdicts that complete listings found, by their prefix
 */
export async function damagedVerdicts(
  store: Store,
  listed: ReadonlyMap<string, readonly Key[]> = new Map(),
): Promise<BkpError[]> {
  const faults: BkpError[] = [];
  for (const key of await allVerdicts(store, listed)) {
    try {
      await readVerdict(store, key);
    } catch (error) {
      if (!isDamage(error)) throw error;
      if (error.code === 'OBJECT_DAMAGED') faults.push(error);
    }
  }
  return faults;
}

async function allVerdicts(store: Store, listed: ReadonlyMap<string, readonly Key[]>): Promise<readonly Key[]> {
  const found: Key[] = [];
  for (const prefix of manifestPrefixes) {
    const known = listed.get(prefix) ?? (prefix === manifestPrefixes[0] ? listed.get(collectionsPrefix) : undefined);
    if (known === undefined) for await (const {key} of store.list(prefix)) found.push(key);
    else found.push(...known);
  }
  return found.filter(isVerdictKey);
}

const isVerdictKey = (key: Key) => parseBeside(key)?.what === 'verdict';

/** @returns undefined when the manifest is missing, damaged, or of a version that named no lease */
async function leaseOf(store: Store, manifest: Key): Promise<string | undefined> {
  return (await unlessDamaged(readManifest(store, manifest)))?.lease;
}

/**
 * @returns undefined for a damaged manifest: `void` would be final, also when it can be read again. Until then nothing
 *   that it needs is removed, because no collector removes anything beside a manifest that it cannot read.
 */
async function proposalFor(store: Store, manifest: Key, lease: string): Promise<Verdict | undefined> {
  try {
    return (await readManifest(store, manifest)).lease === lease ? 'counts' : 'void';
  } catch (error) {
    if (!isDamage(error)) throw error;
    return error.code === 'OBJECT_MISSING' ? 'void' : undefined;
  }
}

/** Manifests whose writers did not remove `pending`, and the leases that these named. */
export class DecidedManifests {
  readonly #leases = new Map<Key, Set<string>>();

  note(manifest: Key, lease: string): void {
    const leases = this.#leases.get(manifest) ?? new Set();
    this.#leases.set(manifest, leases.add(lease));
  }

  /**
   * To be called before manifests are removed.
   * @returns what to do when some are removed, and nothing that they need: they never count again
   */
  async beforeRemoval(store: Store, manifests: readonly Key[]): Promise<(removed: readonly Key[]) => Promise<void>> {
    const leasesOf = new Map<Key, readonly string[]>();
    for (const key of manifests) {
      const decided = this.#leases.get(key);
      if (decided === undefined) continue;
      const own = await leaseOf(store, key);
      leasesOf.set(
        key,
        [...decided].filter((lease) => own === undefined || lease === own),
      );
    }
    return async (removed) => {
      for (const manifest of removed)
        for (const lease of leasesOf.get(manifest) ?? []) await putRemoved(store, {manifest, lease}, 'counts');
    };
  }
}

/**
 * Decides about every unfinished commit. To be called by a collector that holds its lease: the writers of these
 * commits then no longer hold theirs.
 * @param storeNowMs the store's clock, asked for when it is needed
 */
export async function decidePending(store: Store, storeNowMs: () => Promise<number>): Promise<DecidedManifests> {
  const decided = new DecidedManifests();
  const settled: Key[] = [];
  for (const prefix of manifestPrefixes) {
    const present = new Set<Key>();
    for await (const {key, modifiedAtMs} of store.list(prefix)) {
      if (isManifestKey(key)) present.add(key);
      const beside = parseBeside(key);
      if (beside === undefined) continue;
      const {what, manifest, lease} = beside;
      const isThere = present.has(manifest);
      const isRemoved = lease.endsWith(removedSuffix);
      if (isThere && !isRemoved) decided.note(manifest, lease);
      if (what === 'pending') {
        const proposal = isThere ? await proposalFor(store, manifest, lease) : 'void';
        if (proposal === undefined) continue;
        const verdict = await unlessDamaged(decide(store, manifest, lease, proposal));
        // A damaged verdict has decided, and nobody knows how: it hides no manifest, but none may come after this.
        if (verdict === undefined && !isThere) await putRemoved(store, beside, 'void');
        settled.push(key);
      } else if (!isThere && (await unlessDamaged(readVerdict(store, key))) === 'counts') {
        if (!isRemoved) await putRemoved(store, beside, 'counts');
        else if (modifiedAtMs >= (await storeNowMs()) - lateMs) continue;
        settled.push(key);
      }
    }
  }
  // A verdict of `void` is kept, because its manifest may still arrive.
  await removeIfAllowed(store, settled);
  return decided;
}
