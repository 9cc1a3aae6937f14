import {onlyOf, type Relation} from '../catalog/relations.ts';
import {qualified} from '../connection/quote.ts';

/** What stands behind FROM for all rows of a table. */
export function fromOf({schema, table, kind}: Relation): string {
  return onlyOf(kind) + qualified(schema, table);
}

export const lockText = (relations: readonly Relation[]) =>
  `LOCK TABLE ${relations.map(fromOf).join(', ')} IN ACCESS SHARE MODE`;
