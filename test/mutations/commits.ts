import type {Mutant} from './mutant.ts';

const commits = 'src/vault/write/commits.ts';
const check = 'src/vault/write/check-complete.ts';
const killed = 'test/vault/write/killed.test.ts';
const paused = 'test/vault/write/paused.test.ts';
const late = 'test/vault/write/late.test.ts';
const create = 'test/collections/define/late-create.test.ts';
const lease = 'test/vault/lease/lease.test.ts';
const forgotten = 'test/vault/write/forgotten-puts.test.ts';

/** The commit of a backup, and what arrives when its lease is over. */
export const commitMutants: readonly Mutant[] = [
  {
    name: 'commit: what it is about to put is not noted',
    file: commits,
    from: 'await store.put(pending, new Uint8Array(), {ifAbsent: true});',
    to: '',
    killedBy: [killed, 'has made no backup if a cleanup came before the manifest arrives'],
  },
  {
    name: 'commit: the lease is not confirmed after the manifest was put',
    file: commits,
    from: "if (outcome === 'written') await lease.confirm();",
    to: '',
    killedBy: [lease, 'commits nothing if its lease is removed while the manifest is being put'],
  },
  {
    name: 'commit: the lease is not confirmed after object locks were extended',
    file: commits,
    from: 'if (await objectLock.extend([headerKey, ...needed])) await lease.confirm();',
    to: 'await objectLock.extend([headerKey, ...needed]);',
    killedBy: [paused, 'sends no manifest if its lease was lost while object locks were extended'],
  },
  {
    name: 'commit: a failed one is not withdrawn',
    file: commits,
    from: 'const counts = await withdraw(store, key, lease.id);',
    to: 'const counts = (withdraw, false);',
    killedBy: [lease, 'commits nothing if its lease is removed while the manifest is being put'],
  },
  {
    name: 'commit: the same writer may commit again under a name that failed',
    file: commits,
    from: "assert(!this.#void.has(key), 'after a failed commit, only another writer commits the same manifest again');",
    to: '',
    killedBy: [late, 'a writer whose commit failed cannot commit under the same name again'],
  },
  {
    name: 'commit: the note may go while the manifest may still arrive',
    file: commits,
    from: 'this.#finished.pop();',
    to: '',
    killedBy: [
      killed,
      'a manifest whose writer could neither see nor withdraw it is decided about by the next cleanup',
    ],
  },
  {
    name: 'commit: the note may go while a copy of the put may still arrive',
    file: commits,
    from: 'if (!isRepeated) this.#finished.push(pending);',
    to: 'void isRepeated; this.#finished.push(pending);',
    killedBy: [late, 'never counts again'],
  },
  {
    name: 'create: its number is not announced',
    file: 'src/vault/write/writer.ts',
    from: 'if (announcedBy !== undefined) await store.put(announcedBy, new Uint8Array(), {ifAbsent: true});',
    to: '',
    killedBy: [create, 'a CREATE that failed does not replace a later one when its put arrives'],
  },
  {
    name: 'create: it is not seen that another one was faster',
    file: 'src/collections/define/define.ts',
    from: 'if ((await readFolder(vault, name)).generation !== generation) throw changedMeanwhile(name);',
    to: 'void vault;',
    killedBy: [create, 'a CREATE that was paused before its put fails if another one has made the collection'],
  },
  {
    name: 'commit: an index that the store lost is not written again',
    file: check,
    from: 'await index.forgetLost(needed, listing.indexes);',
    to: '',
    killedBy: [forgotten, 'an index that the store lost is written again before the commit ends'],
  },
  {
    name: 'put: what must not be lost is not read back',
    file: 'src/stores/put-and-read.ts',
    from: "if (outcome === 'written') await requireWritten(store, key, bytes);",
    to: 'void requireWritten;',
    killedBy: [forgotten, 'a document that the store lost is not reported as written'],
  },
  {
    name: 'removal: a copy of the put of a removed manifest brings it back',
    file: 'src/vault/care/collector.ts',
    from: 'await afterRemoval(removed);',
    to: 'void afterRemoval;',
    killedBy: [late, 'never counts again'],
  },
  {
    name: 'removal: a copy of the put brings a manifest back if its collector was killed',
    file: 'src/vault/lease/verdict.ts',
    from: "if (!isRemoved) await putRemoved(store, beside, 'counts');",
    to: 'if (!isRemoved) void putRemoved;',
    killedBy: [late, 'nor if its collector was killed after it had removed the manifest'],
  },
  {
    name: 'commit: the manifest is not read back',
    file: commits,
    from: 'await requireWritten(store, key, sealed);',
    to: 'void requireWritten;',
    killedBy: [paused, 'fails if the store does not return the manifest that was written'],
  },
  {
    name: 'commit: the listing of packs does not confirm the lease',
    file: check,
    from: 'await lease.confirmBy(() => index.observe())',
    to: '(lease, await index.observe())',
    killedBy: [killed, 'sent it only if no cleanup had begun when it listed what the backup needs'],
  },
  {
    name: 'commit: packs that a cleanup was about to remove count',
    file: check,
    from: ' || !index.mayRelyOn(pack)',
    to: '',
    killedBy: [paused, 'relies on no pack that a cleanup was about to remove, also where an earlier backup named it'],
  },
  {
    name: 'commit: the lengths of packs are not compared',
    file: check,
    from: 'lengthBytes !== index.packLength(pack) || !index.mayRelyOn(pack)',
    to: 'lengthBytes === undefined || !index.mayRelyOn(pack)',
    killedBy: [paused, 'fails if a pack has another length than was written'],
  },
  {
    name: 'documents: the lease is not confirmed before one is put',
    file: 'src/vault/write/writer.ts',
    from: '    await lease.confirm();\n    const sealed',
    to: '    void lease;\n    const sealed',
    killedBy: [lease, 'commits nothing after its lease was removed'],
  },
  {
    name: 'verdict: a later one replaces the first',
    file: 'src/vault/lease/verdict.ts',
    from: 'Buffer.from(proposal), {ifAbsent: true, retained: true}',
    to: 'Buffer.from(proposal), {retained: true}',
    killedBy: [late, 'if two collectors decide differently, the first decision is final'],
  },
  {
    name: 'verdict: a process believes its own one',
    file: 'src/vault/lease/verdict.ts',
    from: "put === 'written' ? proposal : readVerdict(store, key)",
    to: 'proposal',
    killedBy: [late, 'if two collectors decide differently, the first decision is final'],
  },
  {
    name: 'verdict: the manifest of another writer counts as the noted one',
    file: 'src/vault/lease/verdict.ts',
    from: "return (await readManifest(store, manifest)).lease === lease ? 'counts' : 'void';",
    to: "return 'counts';",
    killedBy: [late, 'a note says nothing about the manifest of another writer under the same key'],
  },
  {
    name: 'verdict: a void manifest is listed',
    file: 'src/vault/lease/verdict.ts',
    from: "(await unlessDamaged(readVerdict(store, own))) === 'void'",
    to: 'false',
    killedBy: [late, 'is not a backup if its writer was killed after sending it, and blocks no cleanup'],
  },
  {
    name: 'verdict: a void one goes before its manifest has arrived',
    file: 'src/vault/lease/verdict.ts',
    from: "} else if (!isThere && (await unlessDamaged(readVerdict(store, key))) === 'counts') {",
    to: '} else if (!isThere) {\n        settled.push(key);\n        continue;',
    killedBy: [late, 'a manifest that was decided to be void stays void, however many cleanups run before it arrives'],
  },
  {
    name: 'verdict: a withdrawn manifest stays',
    file: 'src/vault/lease/verdict.ts',
    from: 'await removeIfAllowed(store, [manifest]);',
    to: '',
    killedBy: [lease, 'commits nothing if its lease is removed while the manifest is being put'],
  },
  {
    name: 'verdict: a note goes without one',
    file: 'src/vault/lease/verdict.ts',
    from: 'await unlessDamaged(decide(store, manifest, lease, proposal));',
    to: 'proposal;',
    killedBy: [killed, 'has made no backup if a cleanup came before the manifest arrives'],
  },
];
