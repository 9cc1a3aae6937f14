import type {Key} from '../../stores/index.ts';

/** An object below a collection's or an instance's `pins/`. The newest generation of a backup counts. */
export type PinObject = {
  /** The name of the backup's folder. */
  backup: string;
  /** From 1. */
  generation: number;
  /** `unpinned` ends the pins of the generations before it. */
  what: 'pin' | 'unpinned';
  key: Key;
};

const names = {pin: 'manifest', unpinned: 'unpinned'} as const;
const pattern = /^pins\/([^/]+)\/(\d{8})\/(manifest|unpinned)$/;

/**
 * Pins are beside the folders of the backups, not in them: a listing shows a manifest together with its verdicts only
 * if nothing else is between them.
 * @param folder of the collection or instance, with `/` at the end
 */
export const pinsPrefix = (folder: string, backup: string): string => `${folder}pins/${backup}/`;

export function pinKey(folder: string, {backup, generation, what}: Omit<PinObject, 'key'>): Key {
  return `${pinsPrefix(folder, backup)}${String(generation).padStart(8, '0')}/${names[what]}`;
}

/** @returns undefined for a key that is not below `pins/` of the folder */
export function parsePinKey(folder: string, key: Key): PinObject | undefined {
  const [, backup, digits, name] = pattern.exec(key.slice(folder.length)) ?? [];
  if (backup === undefined) return undefined;
  return {backup, generation: Number(digits), what: name === names.pin ? 'pin' : 'unpinned', key};
}

/** The folder of the collection or instance, and that of the backup in it, by the key of a manifest. */
export function foldersOfManifest(manifest: Key): {folder: string; backup: string} {
  const [, folder, backup] = /^(.*\/)([^/]+)\/manifest$/.exec(manifest)!;
  return {folder: folder!, backup: backup!};
}
