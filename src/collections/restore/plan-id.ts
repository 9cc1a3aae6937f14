import {createHash} from 'node:crypto';
import type {MergeMode} from '../../sources/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import type {Backup} from '../stored/manifest.ts';
import type {RestoredParts} from './choice.ts';

/**
 * Identifies exactly what a restore loads: every table with its layers and all chunks of these, under which name, from
 * which vault. A restore of the same plan may continue what another one loaded.
 */
export function planId(
  vault: VaultReader,
  {body, streams}: Backup,
  {parts, mode}: {parts: RestoredParts; mode: MergeMode | undefined},
): string {
  const {collection, backup, source} = body;
  const content = [vault.id, collection.id, backup, source.database, parts.tables, parts.objects, mode ?? '', streams];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32);
}
