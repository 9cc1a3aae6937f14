import {foldName} from '../engine/quote.ts';

/** Names that an index or a trigger cannot get any more, folded. */
export type TakenNames = Set<string>;

/**
 * The name of an index or trigger of a table that gets another name: its own where that is free, else one that begins
 * with the table's new name. It is taken then.
 */
export function freeName(taken: TakenNames, name: string, {table, as}: {table: string; as: string}): string {
  const rest = foldName(name).startsWith(`${foldName(table)}_`) ? name.slice(table.length + 1) : name;
  const candidates = [name, `${as}_${rest}`];
  for (let number = 2; ; number++) {
    const free = candidates.find((candidate) => !taken.has(foldName(candidate)));
    if (free !== undefined) {
      taken.add(foldName(free));
      return free;
    }
    candidates.push(`${as}_${rest}_${number}`);
  }
}
