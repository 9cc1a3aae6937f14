import type {Staging, TableContent, TableName} from '../../source.ts';
import {type Checked, checkRestored, indexesAtFault, requireSound} from './check-restored.ts';
import type {BuiltIndexes, LoadedStaging} from './index-phase.ts';
import {RestoredContent} from './restored-content.ts';
import type {Stepper} from './stepper.ts';

type CheckOptions = Pick<Parameters<Staging['finish']>[0], 'check' | 'contentOf' | 'signal'> & {
  step: Stepper;
  notice: (text: string) => void;
};

type Contents = ReadonlyMap<TableName, TableContent>;

/**
 * Checks a staging with all indexes, and reads what its tables contain meanwhile. An index that was laid out and does
 * not match its table is built from the rows, and all is checked again.
 * @throws BkpError `SOURCE_DAMAGED`
 */
export async function checkTables(
  staging: LoadedStaging,
  built: BuiltIndexes,
  options: CheckOptions,
): Promise<{checked: Checked; contents: Contents}> {
  const {file, tables, loaded} = staging;
  const {check, signal, step, notice} = options;
  await step('Check');
  let content = contentToRead(staging, options);
  const sizes = new Map(tables.map(({schema, table}) => [table.name, loaded.of(schema.name)]));
  try {
    let checked = await checkRestored(file, {check, sizes, signal, beside: () => content.begin()});
    if (indexesAtFault(checked).size > 0) {
      await content.ended();
      await rebuild(staging, built, indexesAtFault(checked), {step, notice});
      // Where pages are moved (auto_vacuum), a table may have another root now.
      if (!content.hasBegun) content = contentToRead(staging, options);
      checked = await checkRestored(file, {check, sizes, signal});
    }
    requireSound(checked, notice);
    return {checked, contents: await content.result()};
  } finally {
    await content.stop();
  }
}

async function rebuild(
  {notes}: LoadedStaging,
  {builder, laid}: BuiltIndexes,
  names: ReadonlySet<string>,
  {step, notice}: Pick<CheckOptions, 'step' | 'notice'>,
): Promise<void> {
  // An index that is rebuilt uses pages that a record names.
  notes?.end();
  for (const name of names) {
    const index = laid.get(name);
    if (index === undefined) continue;
    await step('Indexes');
    notice(`index ${index.name} did not match the rows of ${index.table.name} in the backup, and was rebuilt`);
    builder.rebuild(index);
    laid.delete(name);
  }
}

function contentToRead(
  {file, tables, loaded}: LoadedStaging,
  {contentOf = new Set(), signal}: CheckOptions,
): RestoredContent {
  const wanted = tables.filter(({schema}) => contentOf.has(schema.name));
  return new RestoredContent(
    file,
    wanted.map(({schema, table}) => ({name: schema.name, table, bytes: loaded.of(schema.name)})),
    signal,
  );
}
