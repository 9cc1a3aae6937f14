import type {Store} from '../../src/stores/index.ts';
import type {Entry} from '../../src/vault/format/entry.ts';
import {isManifestKey, packOfKey} from '../../src/vault/format/key.ts';
import {parseManifest} from '../../src/vault/format/manifest.ts';
import {readPackTable} from '../../src/vault/format/pack.ts';
import type {Manifest} from '../../src/vault/types.ts';
import type {OpenedView} from './keys.ts';
import type {Disk} from './store.ts';

const tables = new WeakMap<Uint8Array, readonly Entry[]>();
const manifests = new WeakMap<Uint8Array, Manifest>();

/**
 * Checks what must hold after every change of a store: all that a manifest needs exists, if the manifest counts. It
 * reads the objects on its own, by the rules of docs/format.md, and knows nothing of indexes, caches and leases.
 */
export class Oracle {
  readonly #disk: Disk;
  #version = 0;
  /** Packs that were damaged on purpose, as they were before: a copy of the store still has them. */
  readonly damaged = new Map<string, Uint8Array>();
  readonly #view: OpenedView | undefined;

  /** @param view opens what is in the store of an encrypted vault */
  constructor(disk: Disk, view?: OpenedView) {
    this.#disk = disk;
    this.#view = view;
  }

  /** @returns what is wrong, undefined if nothing is */
  async check(): Promise<string | undefined> {
    if (this.#disk.version === this.#version) return undefined;
    this.#version = this.#disk.version;
    const objects = (await this.#view?.objects(this.#disk)) ?? this.#disk.raw.objects;
    const forms = new Map<string, (string | undefined)[]>();
    const present = [...objects].map(([key, {bytes}]) => [key, bytes] as const);
    const before = [...this.damaged].map(
      ([key, bytes]) => [key, this.#view?.opened(key, bytes).bytes ?? bytes] as const,
    );
    for (const [key, bytes] of [...present.filter(([key]) => !this.damaged.has(key)), ...before]) {
      const pack = packOfKey(key);
      if (pack === undefined) continue;
      let entries = tables.get(bytes);
      if (entries === undefined) {
        const only = {
          get: async (_: string, range: {start: number; end: number}) => bytes.slice(range.start, range.end),
        };
        entries = await readPackTable(only as unknown as Store, pack, bytes.length);
        tables.set(bytes, entries);
      }
      for (const {id, base} of entries) forms.set(id, [...(forms.get(id) ?? []), base]);
    }
    const isSelfContained = (id: string) => forms.get(id)?.includes(undefined) ?? false;
    const isReadable = (id: string) =>
      forms.get(id)?.some((base) => base === undefined || isSelfContained(base)) ?? false;
    for (const [key, {bytes}] of objects) {
      if (!isManifestKey(key)) continue;
      let manifest = manifests.get(bytes);
      if (manifest === undefined) {
        manifest = await parseManifest(bytes, key);
        manifests.set(bytes, manifest);
      }
      if (!counts(key, manifest, objects)) continue;
      for (const {chunks} of manifest.streams) {
        const missing = chunks.find((id) => !isReadable(id));
        if (missing !== undefined)
          return `${this.#disk.name}/${key} needs chunk ${missing.slice(0, 8)}, which is missing`;
      }
    }
    return undefined;
  }
}

/** False if a verdict beside the manifest makes it void, for the lease that it names. */
function counts(key: string, {lease}: Manifest, objects: ReadonlyMap<string, {bytes: Uint8Array}>): boolean {
  const verdictKey = `${key.slice(0, -'manifest'.length)}verdict/${lease}`;
  if (objects.has(`${verdictKey}-removed`)) return false;
  const verdict = objects.get(verdictKey);
  return verdict === undefined || Buffer.from(verdict.bytes).toString() === 'counts';
}
