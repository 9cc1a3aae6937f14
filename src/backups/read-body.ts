import {BkpError} from '../errors/index.ts';
import {parsed, type Schema} from '../lib/schema.ts';
import {damaged, type JsonValue, type Recipe, type VaultReader} from '../vault/index.ts';

/** The version of bodies and documents; a newer bkp may count on. */
const firstVersion = 1;

/**
 * Reads a manifest as what its key says that it is.
 * @param expected.fault what the schema cannot see: whether the body belongs to the key, and fits the streams
 * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` | `STORE_REFUSED` (a newer bkp wrote it)
 */
export async function readBody<T>(
  vault: VaultReader,
  key: string,
  expected: {
    kind: string;
    /** The newest version that this bkp knows. Default 1. */
    version?: number;
    schema: Schema<T>;
    fault: (body: T, streams: readonly Recipe[]) => string | undefined;
  },
): Promise<{body: T; streams: readonly Recipe[]}> {
  const {kind, streams, body} = await vault.manifest(key);
  if (kind !== expected.kind) throw damaged(key, `it is a manifest of kind ${kind}, not ${expected.kind}`);
  requireKnown(key, body, expected.version ?? firstVersion);
  const known = parsed(expected.schema, body, (why) => damaged(key, why));
  const fault = expected.fault(known, streams);
  if (fault !== undefined) throw damaged(key, fault);
  return {body: known, streams};
}

/** The same for a document, which is already read. */
export function parsedDocument<T>(
  key: string,
  document: JsonValue,
  expected: {schema: Schema<T>; fault: (document: T) => string | undefined},
): T {
  requireKnown(key, document, firstVersion);
  const known = parsed(expected.schema, document, (why) => damaged(key, why));
  const fault = expected.fault(known);
  if (fault !== undefined) throw damaged(key, fault);
  return known;
}

/** What a newer bkp wrote is not damaged, and not to be judged by this one. */
function requireKnown(key: string, value: JsonValue, known: number): void {
  const version = (value as {version?: unknown} | null)?.version;
  if (typeof version !== 'number' || version <= known) return;
  throw new BkpError('STORE_REFUSED', `${key} has version ${version}, which this bkp does not know`, {
    next: 'use the newer bkp that wrote it',
    context: {key},
  });
}
