import type {Connection} from '../connection/connection.ts';
import {qualified} from '../connection/quote.ts';

/** Schema and name. */
export type SequenceName = readonly [schema: string, name: string];

/** So many are read by one statement. */
const atOnce = 100;

/** The values of sequences, as a backup has them: schema, name, last value, whether it was used. In the same order. */
export async function sequenceValues(
  connection: Connection,
  names: readonly SequenceName[],
): Promise<readonly string[]> {
  const values: string[] = [];
  for (let at = 0; at < names.length; at += atOnce) {
    const some = names.slice(at, at + atOnce);
    const queries = some.map(
      ([schema, name], nth) => `SELECT ${nth} AS nth, last_value, is_called FROM ${qualified(schema, name)}`,
    );
    for (const [nth, last, isCalled] of await connection.rows(`${queries.join(' UNION ALL ')} ORDER BY nth`)) {
      values.push(JSON.stringify([...some[Number(nth)]!, last, isCalled === 't']));
    }
  }
  return values;
}
