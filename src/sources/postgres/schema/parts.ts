import * as v from 'valibot';
import {BkpError} from '../../../errors/index.ts';
import {parsedJson, text} from '../../../lib/schema.ts';
import type {BackupParts, DatabaseFacts} from '../../source.ts';
import type {Connection} from '../connection/connection.ts';
import {type SequenceName, sequenceValues} from './sequences.ts';

/** What a backup has of a database beside rows. */
export type SchemaParts = BackupParts & {database: DatabaseFacts};

const sharedSchema = v.array(v.object({value: v.exactOptional(text)}));
type Shared = v.InferOutput<typeof sharedSchema>;
const toldSchema = v.array(text);
const valueSchema = v.looseTuple([text, text]);

/**
 * The same parts with the values that their sequences have now: all else in them is definitions.
 * @param parts as this version of bkp made them
 */
export async function withSequencesNow(connection: Connection, parts: SchemaParts): Promise<SchemaParts> {
  const {schemas, objects, database} = parts;
  const shared = parsedJson<Shared>(sharedSchema, String(database.shared), unreadable);
  const stored = [
    ...schemas.flatMap(({definition}) => definition.sequences as readonly string[]),
    ...shared.flatMap(({value}) => value ?? []),
    ...objects.flatMap(({definition: {value}}) => (value as string | undefined) ?? []),
  ];
  const values = await sequenceValues(connection, stored.map(nameIn));
  const nowOf = new Map(stored.map((value, at) => [value, values[at]!]));
  const now = (value: string) => nowOf.get(value)!;
  return {
    schemas: schemas.map(({definition, ...schema}) => ({
      ...schema,
      definition: {...definition, sequences: (definition.sequences as readonly string[]).map(now)},
    })),
    objects: objects.map(({name, definition}) => {
      const {value} = definition;
      return {name, definition: value === undefined ? definition : {...definition, value: now(value as string)}};
    }),
    database: {
      ...database,
      shared: JSON.stringify(shared.map((one) => (one.value === undefined ? one : {...one, value: now(one.value)}))),
    },
  };
}

function nameIn(value: string): SequenceName {
  const [schema, name] = parsedJson<unknown[]>(valueSchema, value, unreadable) as [string, string];
  return [schema, name];
}

/** What a backup told about its schema, which the ones that take it over tell again. */
export const toldIn = ({told}: DatabaseFacts): readonly string[] =>
  told === undefined ? [] : parsedJson<readonly string[]>(toldSchema, String(told), unreadable);

function unreadable(why: string): BkpError {
  return new BkpError('OBJECT_DAMAGED', 'the schema in the backup before cannot be read', {
    cause: why,
    next: 'take a full backup',
  });
}
