import type {Recipe, Survey} from '../../vault/index.ts';
import type {Catalog, CatalogFile} from '../stored/catalog.ts';

/** A table that a backup has and its restore cannot bring. */
export type MissingTable = {name: string; why: string};

/**
 * The tables of which an object is missing in the store. A pack in which a verification found damage may be intact
 * where a table needs it, which only reading it shows.
 * @throws BkpError if something is missing that belongs to no table
 */
export async function knownMissing(
  survey: Survey,
  catalog: Catalog,
  files: readonly CatalogFile[],
): Promise<readonly MissingTable[]> {
  const missing: MissingTable[] = [];
  for (const [name, own] of Map.groupBy(files, ({table}) => table)) {
    const fault = await survey.faultOf([recipeOf(catalog, own)]);
    if (fault?.code !== 'OBJECT_MISSING') continue;
    if (name === undefined) throw fault;
    missing.push({name, why: fault.message});
  }
  return missing;
}

/** All chunks of these files. */
export const recipeOf = ({ids}: Catalog, files: readonly CatalogFile[]): Recipe => ({
  sizeBytes: files.reduce((sum, {sizeBytes}) => sum + sizeBytes, 0),
  depth: 0,
  chunks: files.flatMap((file) => ids.range(file.firstChunk, file.chunks)),
});
