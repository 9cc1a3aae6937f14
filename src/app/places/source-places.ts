import {describeSource, parseSource} from '../../config/index.ts';
import {systemProcesses} from '../../lib/processes.ts';
import type {FileSource, SourceSpec, TableSource} from '../../sources/index.ts';
import type {Deps} from '../deps.ts';
import {requireSource, type Workplace} from './workplace.ts';

type SourcePlace = Pick<Workplace, 'source' | 'store'>;

/** The source, with its secrets from the settings. */
export async function sourceSpecOf(deps: Pick<Deps, 'settings' | 'env'>, place: SourcePlace): Promise<SourceSpec> {
  const address = parseSource(requireSource(place), '/');
  if (address.scheme === 'sqlite') return address;
  const {sourcePassword: password, sourceToken: token} = await deps.settings();
  if (address.scheme === 'postgres') return {...address, description: describeSource(address), password, env: deps.env};
  return {...address, password, token};
}

/**
 * The source is always closed again.
 * @throws BkpError `USAGE` when none is set | `BAD_REQUEST` when it is inside the store
 */
export async function withFileSource<T>(
  deps: Pick<Deps, 'settings' | 'env'>,
  place: SourcePlace,
  use: (source: FileSource) => Promise<T>,
): Promise<T> {
  const {openFileSource} = await import('../../sources/index.ts');
  const source = await openFileSource(await sourceSpecOf(deps, place), systemProcesses);
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

/**
 * Nothing opens the source; without one, nothing is refused.
 * @throws BkpError `UNSUPPORTED` when the source is only backed up as a whole
 */
export async function requireCollectionsAt(place: SourcePlace): Promise<void> {
  if (place.source === undefined) return;
  const {requireCollections} = await import('../../sources/index.ts');
  requireCollections(parseSource(place.source, '/').scheme);
}

/** Throws as {@link requireSource}. */
export async function openSourceAt(deps: Pick<Deps, 'settings' | 'env'>, place: SourcePlace): Promise<TableSource> {
  const spec = await sourceSpecOf(deps, place);
  const {openSource} = await import('../../sources/index.ts');
  return openSource(spec);
}

/** The source is always closed again. Throws as {@link openSourceAt}. */
export async function withSource<T>(
  deps: Pick<Deps, 'settings' | 'env'>,
  place: SourcePlace,
  use: (source: TableSource) => Promise<T>,
): Promise<T> {
  const source = await openSourceAt(deps, place);
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}
