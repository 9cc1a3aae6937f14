import {readFileSync} from 'node:fs';
import {resolve} from 'node:path';
import {importExportedKeys} from '../../app/keys/import.ts';
import {openKeys} from '../../app/keys/open-keys.ts';
import {BkpError} from '../../errors/index.ts';
import {formatCount} from '../../lib/figures.ts';
import type {RowFormat} from '../../ui/index.ts';
import {exportKeys, fingerprintOf, parseExportedKeys} from '../../vault/index.ts';
import type {CommandDeps} from '../deps.ts';
import {placeFile} from './new-file.ts';

type Format = {format: RowFormat};

/** The file has no secret: what it has can be opened by the slots alone. */
export async function runKeyExport(deps: CommandDeps, file: string, {format}: Format): Promise<void> {
  const {store, unlocked} = await openKeys(deps);
  const {bytes, lost} = await exportKeys(store, unlocked, {nowMs: deps.nowMicros() / 1000});
  for (const key of lost) deps.warn(`the export lacks ${key}: the store has lost it`);
  placeFile(deps, file, bytes);
  const {keys, slots} = unlocked.ring;
  const facts = {ring: fingerprintOf(keys), generation: keys.generation, slots: slots.length - lost.length, lost};
  const lines = [
    `exported the keys, with ${formatCount(facts.slots, 'slot')}, to ${file}`,
    'each of them opens it; export again after a change of the keys',
    `ring ${facts.ring}`,
  ];
  deps.stdout.write(format === 'json' ? `${JSON.stringify(facts)}\n` : `${lines.join('\n')}\n`);
}

export type ImportOptions = Format & {allowOlder: boolean};

export async function runKeyImport(
  deps: CommandDeps,
  file: string,
  {allowOlder, format}: ImportOptions,
): Promise<void> {
  const exported = parseExportedKeys(read(deps, file), file);
  const {written, fingerprint, generation, isOlder} = await importExportedKeys(deps, exported, {file, allowOlder});
  const facts = {ring: fingerprint, generation, written, older: isOlder};
  const isRingWritten = written.some((key) => key.includes('/rings/'));
  const lines = [
    written.length === 0 ? 'nothing was missing' : `written again: ${written.join(', ')}`,
    ...(isRingWritten
      ? [
          `the keys are those of ${exported.made}: slots that were removed later open the vault again, and what was ` +
            'sealed with newer keys cannot be read',
        ]
      : []),
    ...(isOlder ? [`the store has newer keys than the file, ring ${generation}: they stay`] : []),
    `ring ${fingerprint}`,
  ];
  deps.stdout.write(format === 'json' ? `${JSON.stringify(facts)}\n` : `${lines.join('\n')}\n`);
}

function read({cwd}: CommandDeps, file: string): Uint8Array {
  try {
    return readFileSync(resolve(cwd, file));
  } catch (cause) {
    throw new BkpError('FILE_UNAVAILABLE', `${file} cannot be read`, {
      cause,
      next: 'check its name and its permissions',
    });
  }
}
