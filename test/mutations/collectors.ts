import type {Mutant} from './mutant.ts';

const collector = 'src/vault/care/collector.ts';
const merge = 'src/vault/write/merge-small.ts';
const killed = 'test/vault/write/killed.test.ts';
const paused = 'test/vault/write/paused.test.ts';
const late = 'test/vault/write/late.test.ts';
const collect = 'test/vault/care/collect.test.ts';
const pausedMerge = 'test/long/paused-merge.test.ts';
const forgotten = 'test/vault/write/forgotten-puts.test.ts';

/** What removes: cleanups, and merges of small packs. */
export const collectorMutants: readonly Mutant[] = [
  {
    name: 'cleanup: the lease is not confirmed before backups are judged intact',
    file: collector,
    from: 'await index.apply(await index.observe());\n    await lease.confirm();',
    to: 'await index.apply(await index.observe());\n    void lease;',
    killedBy: [killed, 'makes no plan'],
  },
  {
    name: 'cleanup: the lease is not confirmed before backups are removed',
    file: collector,
    from: 'await newest?.beforeRemoval(manifests);\n    await lease.confirm();',
    to: 'await newest?.beforeRemoval(manifests);\n    void lease;',
    killedBy: [killed, 'removes no backup'],
  },
  {
    name: 'cleanup: the lease is not confirmed before a plan',
    file: collector,
    from: 'index.requireReadableRemovals();\n    await lease.confirm();',
    to: 'index.requireReadableRemovals();',
    killedBy: [killed, 'makes no plan'],
  },
  {
    name: 'cleanup: the lease is not confirmed before removals are noted',
    file: collector,
    from: 'await requireListed(this.#deps, {packs: rewritten.written, indexes});',
    to: 'void requireListed; void indexes;',
    killedBy: [paused, 'notes no removal'],
  },
  {
    name: 'cleanup: it is not seen that the store keeps new packs before the old ones are removed',
    file: 'src/vault/care/rewrite-packs.ts',
    from: 'if (lostPack !== undefined) throw notKept(packKey(lostPack));',
    to: '',
    killedBy: [forgotten, 'a cleanup loses nothing that a backup needs, whichever of its puts is lost'],
  },
  {
    name: 'cleanup: it is not seen that the store has removed a backup',
    file: collector,
    from: 'if (still !== undefined) throw notRemoved(still);',
    to: 'void notRemoved; void still;',
    killedBy: [forgotten, 'a removal that the store confirmed and did not carry out is not reported as done'],
  },
  {
    name: 'cleanup: a backup that appeared meanwhile is not noticed',
    file: collector,
    from: "if ((await this.#manifestKeys()).join('\\n') !== marked.manifests) throw backupsChanged();",
    to: 'void backupsChanged;',
    killedBy: [collect, 'when a backup appears while the collector works'],
  },
  {
    name: 'cleanup: removals are not noted',
    file: collector,
    from: 'const notes = await noteRemoval(store, toRemove, randomId);',
    to: 'const notes: Key[] = []; void [noteRemoval, toRemove, randomId];',
    killedBy: [late, 'removes nothing that a backup of another process needs which took it for dead'],
  },
  {
    name: 'cleanup: the lease is not confirmed before each removal',
    file: collector,
    from: 'await this.#deps.lease.confirm();',
    to: '',
    killedBy: [killed, 'removes nothing under packs/ after that'],
  },
  {
    name: 'cleanup: the last listing does not confirm the lease',
    file: collector,
    from: 'await lease.confirmBy(() => index.observe())',
    to: 'await index.observe()',
    killedBy: [late, 'removes nothing that a backup needs after another collector has finished its work'],
  },
  {
    name: 'cleanup: void manifests stay',
    file: collector,
    from: 'await this.#delete([...this.#void]);',
    to: '',
    killedBy: [late, 'is not a backup if its writer was killed after sending it, and blocks no cleanup'],
  },
  {
    name: 'cleanup: a definition goes before its backups',
    file: collector,
    from: 'for (const some of [manifests, documents])',
    to: 'for (const some of [documents, manifests])',
    killedBy: [paused, 'of a collection begins with its backups: a definition never goes before them'],
  },
  {
    name: 'cleanup: packs go before their indexes',
    file: collector,
    from: 'await this.#delete(obsolete.map(indexKey));\n    await this.#delete([...removed].map(packKey), step);',
    to: 'await this.#delete([...removed].map(packKey), step);\n    await this.#delete(obsolete.map(indexKey));',
    killedBy: [paused, 'of packs is noted before indexes go, and these go before the packs'],
  },
  {
    name: 'cleanup: a note of removals that cannot be read is ignored',
    file: collector,
    from: 'index.requireReadableRemovals();',
    to: '',
    killedBy: [late, 'an unreadable note of a removal fails writers and collectors, but no reader'],
  },
  {
    name: 'cleanup: the lease is not confirmed before a pack is copied',
    file: 'src/vault/care/rewrite-packs.ts',
    from: 'await lease.confirm();',
    to: 'void lease;',
    killedBy: [paused, 'copies nothing out of packs'],
  },
  {
    name: 'cleanup: unfinished commits are not decided about',
    file: 'src/vault/vault.ts',
    from: 'decided = await decidePending(store, async () => (await store.stat(lease.key))?.modifiedAtMs ?? 0);',
    to: 'decided = new (await import("./lease/verdict.ts")).DecidedManifests(); void decidePending;',
    killedBy: [late, 'a backup whose writer was killed after its manifest was written counts, also after cleanups'],
  },
  {
    name: 'merge: the first listing does not confirm the lease',
    file: merge,
    from: 'const listing = await lease.confirmBy(() => listVault(store));',
    to: 'const listing = await listVault(store);',
    killedBy: [pausedMerge, 'begins nothing'],
  },
  {
    name: 'merge: the lease is not confirmed after packs were read',
    file: merge,
    from: 'await lease.confirm();\n  return new Map(',
    to: 'void lease;\n  return new Map(',
    killedBy: [pausedMerge, 'writes nothing when it has read the packs'],
  },
  {
    name: 'merge: the lease is not confirmed before removals are noted',
    file: merge,
    from: 'const written = await lease.confirmBy(() => listVault(store));',
    to: 'const written = await listVault(store);',
    killedBy: [pausedMerge, 'notes no removal when it has written packs'],
  },
  {
    name: 'merge: the lease is not confirmed before indexes are removed',
    file: merge,
    from: 'await lease.confirm();\n  await store.delete(obsolete',
    to: 'await store.delete(obsolete',
    killedBy: [pausedMerge, 'removes nothing when it has noted what'],
  },
  {
    name: 'merge: the lease is not confirmed before packs are removed',
    file: merge,
    from: 'await lease.confirm();\n  await store.delete([...packs',
    to: 'await store.delete([...packs',
    killedBy: [pausedMerge, 'removes no pack when it has removed indexes'],
  },
  {
    name: 'merge: the last listing does not confirm the lease',
    file: merge,
    from: 'const left = await lease.confirmBy(() => listVault(store));',
    to: 'const left = await listVault(store);',
    killedBy: [pausedMerge, 'keeps its note when it has removed packs'],
  },
  {
    name: 'merge: removals are not noted',
    file: merge,
    from: 'const notes = await noteRemoval(store, [...packs.keys()], randomId);',
    to: 'const notes: Key[] = []; void [noteRemoval, randomId];',
    killedBy: [paused, 'of merged packs is noted before their indexes go, and these go before the packs'],
  },
  {
    name: 'merge: new packs are not read back',
    file: merge,
    from: 'if (hashHex(await store.get(key)) !== pack)',
    to: 'if (false)',
    killedBy: [
      pausedMerge,
      'a merge removes nothing if the store does not return the merged packs as they were written',
    ],
  },
];
