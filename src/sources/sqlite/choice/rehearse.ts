import type {BackupParts} from '../../source.ts';
import {Connection} from '../engine/connection.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {foldName} from '../engine/quote.ts';
import {makeObjects, makeTriggers} from '../restore/finish.ts';
import {crossings, missingParent} from '../restore/foreign-keys.ts';
import {type Existing, makeExisting} from '../schema/existing.ts';
import {definitionOf} from '../schema/schema.ts';

/**
 * What a restore into a database with these objects would report, without rows: it is done in memory with the
 * statements alone.
 */
export function rehearseRestore({schemas, objects}: BackupParts, existing: Existing): readonly string[] {
  const notices: string[] = [];
  const scratch = new Connection('the schema of the target', {memory: true});
  try {
    const wanted = new Set([...schemas, ...objects].map(({name}) => foldName(name)));
    makeExisting(scratch, existing, (name) => !wanted.has(foldName(name)));
    for (const schema of schemas) {
      runFromManifest(scratch, {what: 'table', table: schema.name}, definitionOf(schema).table);
    }
    const attaching = {schemas, objects, notice: (text: string) => notices.push(text)};
    makeTriggers(scratch, attaching, makeObjects(scratch, attaching));
    const restored = schemas.map(({name}) => name);
    for (const crossing of crossings(scratch, restored)) {
      const {child, parent, parentExists} = crossing;
      notices.push(
        parentExists
          ? `${child} refers to ${parent}: one of them is not restored, so the rows are compared at the end`
          : missingParent(crossing),
      );
    }
    return notices;
  } finally {
    scratch.close();
  }
}
