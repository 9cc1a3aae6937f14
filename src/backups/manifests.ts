import {BkpError} from '../errors/index.ts';
import {parsed, parsedJson, type Schema} from '../lib/schema.ts';
import type {Key} from '../stores/index.ts';
import {damaged, type JsonValue, type Manifest, type Recipe, type VaultReader} from '../vault/index.ts';
import {foldersOfManifest, type PinObject, parsePinKey, pinnedManifest, pinsPrefix} from './pins/index.ts';
import {isUnreadable} from './readable.ts';

/** The version of documents, and of manifest bodies unless the caller knows a newer one. */
const firstVersion = 1;

/** What a manifest has to be. */
export type ManifestShape<T> = {
  kind: string;
  /** The newest version that this bkp knows. Default 1. */
  version?: number;
  schema: Schema<T>;
  /** Checks what the schema cannot: that the body belongs to the key and fits the streams. */
  fault: (body: T, streams: readonly Recipe[]) => string | undefined;
};

/**
 * The manifest of a new backup, after the checks of {@link readManifest}: what these would refuse is never committed.
 * @param backup its name, for the error
 * @throws BkpError `INTERNAL`
 */
export function writtenManifest<T>(
  backup: string,
  {body, streams}: {body: T; streams: readonly Recipe[]},
  {kind, schema, fault}: ManifestShape<T>,
): Manifest {
  const unreadable = (why: string) =>
    new BkpError('INTERNAL', `the manifest of backup ${backup} could not be read again: ${why}`, {
      next: 'there is no new backup, and the earlier ones are as they were; report this',
    });
  const written = parsedJson(schema, JSON.stringify(body), unreadable);
  const why = fault(written, streams);
  if (why !== undefined) throw unreadable(why);
  return {kind, streams, body: written as JsonValue};
}

/**
 * Reads a manifest and checks that it is what its key says.
 * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` (a newer bkp wrote it)
 */
export async function readManifest<T>(
  vault: VaultReader,
  key: string,
  expected: ManifestShape<T>,
): Promise<{body: T; streams: readonly Recipe[]}> {
  const {kind, streams, body} = await manifestOrPinned(vault, key);
  if (kind !== expected.kind) throw damaged(key, `it is a manifest of kind ${kind}, not ${expected.kind}`);
  const {version = firstVersion, schema, fault} = expected;
  return {body: parsedAs(key, body, {version, schema, fault: (known) => fault(known, streams)}), streams};
}

/** A pinned backup that has lost its manifest is read from the pin. */
export async function manifestOrPinned(vault: VaultReader, key: Key): Promise<Manifest> {
  try {
    return await vault.manifest(key);
  } catch (error) {
    if (!(error instanceof BkpError) || error.code !== 'OBJECT_MISSING') throw error;
    const {folder, backup} = foldersOfManifest(key);
    const objects: PinObject[] = [];
    for await (const found of vault.keys(pinsPrefix(folder, backup))) {
      const object = parsePinKey(folder, found);
      if (object !== undefined) objects.push(object);
    }
    const pinned = await pinnedManifest(vault, objects);
    if (pinned === undefined) throw error;
    return pinned;
  }
}

/**
 * Reads a document and checks that it is what its key says.
 * @returns the error if the document is missing, damaged or written by a newer bkp: only what it describes is
 *   then unusable
 */
export async function readDocument<T>(
  vault: VaultReader,
  key: string,
  expected: {
    /** The newest version that this bkp knows. Default 1. */
    version?: number;
    schema: Schema<T>;
    fault: (document: T) => string | undefined;
  },
): Promise<T | BkpError> {
  try {
    return parsedAs(key, await vault.document(key), {version: firstVersion, ...expected});
  } catch (error) {
    if (isUnreadable(error)) return error;
    throw error;
  }
}

function parsedAs<T>(
  key: string,
  value: JsonValue,
  expected: {version: number; schema: Schema<T>; fault: (value: T) => string | undefined},
): T {
  requireKnownVersion(key, value, expected.version);
  const known = parsed(expected.schema, value, (why) => damaged(key, why));
  const fault = expected.fault(known);
  if (fault !== undefined) throw damaged(key, fault);
  return known;
}

/** What a newer bkp wrote is not damaged: this bkp only cannot judge it. */
function requireKnownVersion(key: string, value: JsonValue, known: number): void {
  const version = (value as {version?: unknown} | null)?.version;
  if (typeof version !== 'number' || version <= known) return;
  throw new BkpError('STORE_REFUSED', `${key} has version ${version}, which this bkp does not know`, {
    next: 'use the newer bkp that wrote it',
    context: {key},
  });
}
