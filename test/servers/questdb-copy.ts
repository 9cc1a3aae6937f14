import {createHash} from 'node:crypto';
import type {FileSource, Frozen, FrozenFile} from '../../src/sources/index.ts';
import {openQuestDbTarget} from '../../src/sources/questdb/index.ts';

export const noSignal = new AbortController().signal;
export const freezeOptions = {
  hold: 'operation test/1',
  signal: noSignal,
  notice: () => undefined,
  nowMicros: () => Date.now() * 1000,
};

/** Copies files as a backup and a restore do, without a vault. */
export async function copyDatabase(
  source: FileSource,
  root: string,
  tables?: readonly string[],
): Promise<Frozen['facts'] & Pick<Frozen, 'takenAtMicros'>> {
  const frozen = await source.freeze(freezeOptions);
  try {
    const target = openQuestDbTarget({root, ...(tables === undefined ? {} : {tables})});
    await target.prepare(frozen.facts);
    for await (const file of frozen.files()) await target.write(file, frozen.read(file));
    await frozen.confirm();
    await target.publish({signal: new AbortController().signal});
    return {...frozen.facts, takenAtMicros: frozen.takenAtMicros};
  } finally {
    await frozen.release();
  }
}

export async function hashOf(frozen: Frozen, file: FrozenFile): Promise<string> {
  const hash = createHash('sha256');
  for await (const block of frozen.read(file)) hash.update(block);
  return hash.digest('hex');
}
