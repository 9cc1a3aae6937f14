import {statfsSync, statSync} from 'node:fs';
import {dirname} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {formatCount} from '../../../lib/figures.ts';
import type {Incoming, TableSchema, TargetFindings} from '../../source.ts';
import {withConnection} from '../engine/connection.ts';
import {nothingExists, readExisting} from '../schema/existing.ts';
import {definitionOf} from '../schema/schema.ts';
import {rehearseRestore} from './rehearse.ts';

/** Pages are not full. */
const pagesPerByte = 1.2;
/** A table and its indexes take whole pages. */
const leastBytesOfTable = 16 * 1024;

/** @param options.obstacle throws what a restore would fail with before it begins */
export function surveyTarget(
  path: string,
  incoming: Incoming,
  {rehearse, obstacle}: {rehearse: boolean; obstacle: () => void},
): TargetFindings {
  const found = caught(obstacle);
  const space = spaceAt(path, incoming);
  return {
    ...(found === undefined ? {} : {obstacle: found}),
    brings: new Map(incoming.schemas.map((schema) => [schema.name, bringsOf(schema)])),
    notices: rehearse && found === undefined ? noticesAt(path, incoming) : [],
    ...(space === undefined ? {} : {space}),
  };
}

function caught(obstacle: () => void): BkpError | undefined {
  try {
    obstacle();
    return undefined;
  } catch (error) {
    if (error instanceof BkpError) return error;
    throw error;
  }
}

function bringsOf(schema: TableSchema): string {
  const {indexes, triggers} = definitionOf(schema);
  return [count(indexes.length, 'index', 'indexes'), count(triggers.length, 'trigger', 'triggers')]
    .filter(Boolean)
    .join(', ');
}

const count = (of: number, one: string, many: string) =>
  of === 0 ? '' : `${formatCount(of)} ${of === 1 ? one : many}`;

const isAbsent = (path: string) => statSync(path, {throwIfNoEntry: false}) === undefined;

function noticesAt(path: string, incoming: Incoming): readonly string[] {
  return rehearseRestore(incoming, isAbsent(path) ? nothingExists : withConnection(path, {}, readExisting));
}

/**
 * A new file is written once. Into an existing database the staged tables are copied, and in WAL mode they pass through
 * the log before that.
 */
function spaceAt(path: string, {bytes, schemas}: Incoming): TargetFindings['space'] {
  const place = dirname(path);
  const once = Math.ceil(bytes * pagesPerByte) + schemas.length * leastBytesOfTable;
  const times = isAbsent(path) ? 1 : 3;
  try {
    const {bavail, bsize} = statfsSync(place);
    return {place, neededBytes: once * times, freeBytes: bavail * bsize};
  } catch {
    return undefined;
  }
}
