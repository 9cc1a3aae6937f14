import type {WorkTools} from '../../backups/index.ts';
import type {TableSource} from '../../sources/index.ts';
import {isDamage, type VaultReader} from '../../vault/index.ts';
import type {Backup} from '../stored/manifest.ts';
import type {RestoredParts} from './choice.ts';
import {intactParts, type MissingPart, withoutNamed} from './damage.ts';

type Tools = Pick<WorkTools, 'signal' | 'progress' | 'notice'> & {vault: VaultReader; source: TableSource};

/**
 * Restores what is not damaged.
 * @param restore restores all parts that it is given, or none
 * @returns its report, with what is missing if anything is
 * @throws BkpError the first damage if no table is left; what `restore` throws for another reason
 */
export async function restoreIntact<Report extends {missing?: readonly MissingPart[]}>(
  tools: Tools,
  backup: Backup,
  parts: RestoredParts,
  restore: (intact: RestoredParts) => Promise<Report>,
): Promise<Report> {
  const missing: MissingPart[] = [];
  let left = parts;
  let isChecked = false;
  for (;;) {
    try {
      const report = await restore(left);
      return missing.length === 0 ? report : {...report, missing: [...missing, ...(report.missing ?? [])]};
    } catch (error) {
      if (!isDamage(error)) throw error;
      const named = withoutNamed(left, error);
      if (named === undefined && isChecked) throw error;
      isChecked ||= named === undefined;
      const intact = named ?? (await check(tools, backup, left));
      for (const name of intact.rebuilt) {
        tools.notice(rebuiltNotice(name));
      }
      if (intact.missing.length + intact.rebuilt.length === 0 || intact.parts.tables.length === 0) throw error;
      const whole = await withoutHalves(tools.source, backup, intact);
      if (whole.parts.tables.length === 0) throw error;
      missing.push(...whole.missing);
      left = whole.parts;
    }
  }
}

export const rebuiltNotice = (index: string) =>
  `the entries of index ${index} are damaged in the backup, so it is built from the rows`;

function check({vault, signal, progress}: Tools, backup: Backup, parts: RestoredParts) {
  return intactParts(vault, backup, parts, {
    signal,
    progress: (bytesDone, bytesTotal) =>
      progress({phase: 'Damage', bytesDone, bytesTotal, itemsDone: 0, itemsTotal: parts.tables.length}),
  });
}

/** Leaves out a virtual table that lacks one of its own tables, with all of them: half of one is no table. */
export async function withoutHalves(
  source: TableSource,
  {body}: Backup,
  {parts, missing}: {parts: RestoredParts; missing: readonly MissingPart[]},
): Promise<{parts: RestoredParts; missing: readonly MissingPart[]}> {
  const all = {schemas: body.tables.map(({schema}) => schema), objects: body.objects ?? []};
  const gone = new Map(missing.map((part) => [part.name, part]));
  for (const {name} of parts.objects) {
    const own = (await source.choose(all, [{name}])).tables.map((table) => table.name);
    const lacking = own.find((table) => gone.has(table));
    if (lacking === undefined) continue;
    const {why} = gone.get(lacking)!;
    for (const table of own) gone.set(table, gone.get(table) ?? {name: table, why: `it belongs to ${name}`});
    gone.set(name, {name, why: `${lacking}, in which it keeps its content: ${why}`});
  }
  return {
    parts: {
      tables: parts.tables.filter(({chosen}) => !gone.has(chosen.name)),
      objects: parts.objects.filter(({name}) => !gone.has(name)),
    },
    missing: [...gone.values()],
  };
}
