import type {TableSchema} from '../../source.ts';
import {asIdent} from '../schema/rewrite.ts';
import {pairOf, type StoredTable} from './stored.ts';

/** https://www.postgresql.org/docs/18/limits.html */
const mostBytes = 63;

/**
 * A table under another name or in another schema. Its statements stay as they are, because a restore runs them before
 * it renames; what is created with the table is listed under its new names, in the same order.
 * @param taken names that other tables of the restore get; those of this one are added
 */
export function renamed(
  schema: TableSchema,
  table: StoredTable,
  target: {schema: string; table: string},
  taken: Set<string>,
): {schema: TableSchema; notices: readonly string[]} {
  const isOtherName = target.table !== table.table;
  const isOtherSchema = target.schema !== table.schema;
  const names = new Map<string, string>();
  const others: string[] = [];
  for (const relation of table.relations) {
    const [of, name] = pairOf(relation);
    const isTable = of === table.schema && name === table.table;
    const place = isOtherSchema || isTable ? target.schema : of;
    const wanted = isTable ? target.table : isOtherName ? newName(name, table.table, target.table) : name;
    const free = isTable ? wanted : unused(place, wanted, taken);
    taken.add(`${place}\0${free}`);
    names.set(relation, `${place}\0${free}`);
    if (!isTable && free !== name) others.push(free);
  }
  const movedTo = (relation: string) => names.get(relation) ?? relation;
  const name = `${asIdent(target.schema)}.${asIdent(target.table)}`;
  return {
    schema: {
      ...schema,
      name,
      definition: {
        ...schema.definition,
        ...target,
        relations: table.relations.map(movedTo),
        partitions: table.partitions.map(movedTo),
        statistics: table.statistics.map(movedTo),
      },
    },
    notices: [
      ...(others.length === 0 ? [] : [`with ${name} come ${others.join(', ')}`]),
      ...(table.finish.some((sql) => /\tCREATE (?:CONSTRAINT )?TRIGGER /u.test(sql))
        ? [`the triggers of ${name} call the same functions as those of ${table.name}`]
        : []),
    ],
  };
}

/** `orders_pkey` of `orders` becomes `old_pkey` of `old`. */
function newName(name: string, table: string, target: string): string {
  return name.startsWith(table) ? `${target}${name.slice(table.length)}` : `${target}_${name}`;
}

function unused(schema: string, wanted: string, taken: ReadonlySet<string>): string {
  for (let number = 0; ; number++) {
    const name = shortened(wanted, number === 0 ? '' : String(number));
    if (!taken.has(`${schema}\0${name}`)) return name;
  }
}

function shortened(name: string, end: string): string {
  const characters = [...name];
  while (Buffer.byteLength(characters.join('') + end) > mostBytes) characters.pop();
  return characters.join('') + end;
}
