import {parseSource, type Settings} from '../../config/index.ts';

/**
 * Loads code that a worker needs if its operation is on the source and the object store of the settings: only what
 * takes long to load.
 */
export async function preload({source, objectStore}: Settings): Promise<void> {
  await Promise.all([
    objectStore?.address.kind === 's3' ? (await import('../../stores/index.ts')).loadS3() : undefined,
    source === undefined
      ? undefined
      : (await import('../../sources/index.ts')).loadSource(parseSource(source, '/').scheme),
  ]);
}
