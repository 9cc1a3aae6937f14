import {BkpError} from '../../errors/index.ts';
import type {Choice, ChosenTable, SchemaObject} from '../../sources/index.ts';
import type {Backup, TableBackup} from '../stored/manifest.ts';

/** The parts of a backup that a restore brings. */
export type RestoredParts = {
  tables: readonly {backup: TableBackup; chosen: ChosenTable}[];
  objects: readonly SchemaObject[];
};

/** @param choice absent: everything */
export function restoredParts({body}: Backup, choice: Choice | undefined): RestoredParts {
  const {tables, objects = []} = body;
  if (choice === undefined) {
    return {tables: tables.map((backup) => ({backup, chosen: {name: backup.schema.name}})), objects};
  }
  return {
    tables: choice.tables.map((chosen) => ({
      backup: found(
        tables.find(({schema}) => schema.name === chosen.name),
        chosen.name,
      ),
      chosen,
    })),
    objects: choice.objects.map((name) =>
      found(
        objects.find((object) => object.name === name),
        name,
      ),
    ),
  };
}

function found<T>(part: T | undefined, name: string): T {
  if (part !== undefined) return part;
  throw new BkpError('OBJECT_DAMAGED', `the backup no longer has ${name}, which it had when the restore was planned`, {
    next: 'give the statement again',
  });
}
