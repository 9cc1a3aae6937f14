import type {TableName} from '../../source.ts';
import type {StoredTable} from './stored.ts';

/** Of each table: those of the others that it needs, also through further ones, and those that need it. */
export function apartFrom(tables: readonly StoredTable[]): ReadonlyMap<TableName, ReadonlySet<TableName>> {
  const needs = new Map(tables.map(({name, needs: needed = []}) => [name, needed]));
  const apart = new Map<TableName, Set<TableName>>(tables.map(({name}) => [name, new Set()]));
  for (const {name} of tables) {
    const open = [...needs.get(name)!];
    for (let needed = open.pop(); needed !== undefined; needed = open.pop()) {
      if (needed === name || apart.get(name)!.has(needed) || !needs.has(needed)) continue;
      apart.get(name)!.add(needed);
      open.push(...needs.get(needed)!);
    }
  }
  for (const [name, others] of [...apart].map(([one, all]) => [one, [...all]] as const)) {
    for (const other of others) apart.get(other)!.add(name);
  }
  return apart;
}
