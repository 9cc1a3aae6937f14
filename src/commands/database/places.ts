import {parseSource} from '../../config/index.ts';
import {
  type DatabaseMoment,
  type FileSource,
  type FileTarget,
  openFileSource,
  openFileTarget,
} from '../../sources/index.ts';
import {requireSource, type Workplace} from '../workplace.ts';

/** The source is closed again, whatever happens. @throws BkpError `USAGE` when none is set | `BAD_REQUEST` when it lies in the store */
export async function withFileSource<T>(
  place: Pick<Workplace, 'source' | 'store'>,
  use: (source: FileSource) => Promise<T>,
): Promise<T> {
  const source = await openFileSource(parseSource(requireSource(place), '/'));
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

export function openTarget(product: DatabaseMoment['product'], {target}: {target: string}): Promise<FileTarget> {
  return openFileTarget(product, target);
}
