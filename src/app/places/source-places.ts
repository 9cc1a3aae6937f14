import {parseSource} from '../../config/index.ts';
import {systemProcesses} from '../../lib/processes.ts';
import {type FileSource, openFileSource, type SourceSpec} from '../../sources/index.ts';
import type {Deps} from '../deps.ts';
import {requireSource, type Workplace} from './workplace.ts';

type SourcePlace = Pick<Workplace, 'source' | 'store'>;

/** The source, with its secrets from the settings. */
export async function sourceSpecOf(deps: Pick<Deps, 'settings'>, place: SourcePlace): Promise<SourceSpec> {
  const address = parseSource(requireSource(place), '/');
  if (address.scheme === 'sqlite') return address;
  const {sourcePassword: password, sourceToken: token} = await deps.settings();
  return {...address, password, token};
}

/**
 * The source is always closed again.
 * @throws BkpError `USAGE` when none is set | `BAD_REQUEST` when it is inside the store
 */
export async function withFileSource<T>(
  deps: Pick<Deps, 'settings'>,
  place: SourcePlace,
  use: (source: FileSource) => Promise<T>,
): Promise<T> {
  const source = await openFileSource(await sourceSpecOf(deps, place), systemProcesses);
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}
