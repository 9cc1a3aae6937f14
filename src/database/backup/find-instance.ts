import {randomInt} from 'node:crypto';
import {newestReadable} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {type FileSource, isSamePlace, type Whereabouts} from '../../sources/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {type Instance, listInstances, withoutBackups} from '../stored/instance.ts';
import {readDatabaseBackup} from '../stored/manifest.ts';
import {backupMicros, requireInstanceName} from '../stored/names.ts';
import {words} from './words.ts';

/** A database that is to be backed up. */
export type Present = Whereabouts & {dataId: string};

export async function presentDatabase(source: FileSource): Promise<Present> {
  const [dataId, origin] = [await source.dataId(), source.origin()];
  return origin === undefined
    ? {description: source.description, dataId}
    : {description: source.description, dataId, origin};
}

/**
 * `elsewhere`: instances with the same data id whose newest backup was taken at another place: of a copy, or
 * before a move.
 */
export type Found = {instance: Instance | undefined; elsewhere: readonly string[]};

/**
 * Finds the instance that a database's backups belong to: the one with its data id whose newest backup was
 * taken at its place. A copy of a database has the same data id, and its backups must not displace those of the
 * original.
 * @param wanted `instance`: only that one, or a new one of this name. `adopt`: continue that one, wherever its
 *   backups were taken
 * @returns no instance if this database has no backup yet and `wanted` names none
 * @throws BkpError `STORE_REFUSED` (ER007: it belongs to another database) | `OBJECT_DAMAGED` (its owner is
 *   unknown) | `BACKUP_NOT_FOUND` (the instance to adopt does not exist) | `BAD_NAME`
 */
export async function findInstance(
  vault: VaultReader,
  present: Present,
  wanted: {instance?: string | undefined; adopt?: string | undefined} = {},
): Promise<Found> {
  const instances = await listInstances(vault);
  const named = wanted.adopt ?? wanted.instance;
  if (named !== undefined) return {instance: requireOwn(instances, present, named, wanted), elsewhere: []};
  const own = instances.filter((instance) => instance.dataId === present.dataId);
  const here: Instance[] = [];
  for (const instance of own) {
    const known = await whereaboutsOf(vault, instance);
    // An older bkp recorded no origin: then only the data id can be compared.
    if (known?.origin === undefined || isSamePlace(known, present)) here.push(instance);
  }
  // Several match after an adoption or a move: the database continues the one that it used last.
  const [instance] = here.sort((a, b) => newestOf(b) - newestOf(a));
  return {instance, elsewhere: instance === undefined ? own.map(({name}) => name) : []};
}

const newestOf = ({backups}: Instance) => (backups.length === 0 ? 0 : backupMicros(backups.at(-1)!));

function requireOwn(
  instances: readonly Instance[],
  {dataId}: Present,
  named: string,
  {adopt}: {adopt?: string | undefined},
): Instance {
  requireInstanceName(named);
  const found = instances.find(({name}) => name === named);
  if (found === undefined) {
    if (adopt === undefined) return {name: named, dataId: undefined, ...withoutBackups};
    const all = instances.map(({name}) => name).join(', ');
    throw new BkpError('BACKUP_NOT_FOUND', `the store has no backups of instance ${named}`, {
      next: all === '' ? 'BACKUP DATABASE takes one' : `it has backups of ${all}`,
    });
  }
  if (found.dataId === dataId) return found;
  if (found.dataId === undefined) {
    throw new BkpError(found.fault?.code ?? 'OBJECT_DAMAGED', `the owner of the backups of ${named} is unknown`, {
      cause: found.fault,
      next: 'back up into an instance of a new name; the old backups can still be restored',
    });
  }
  throw new BkpError('STORE_REFUSED', `ER007 data ID mismatch: instance ${named} belongs to another database`, {
    cause: `its data id is ${found.dataId}, this database has ${dataId}`,
    next: 'leave out the instance name, or name another store: each database has its own backups',
    context: {instance: named},
  });
}

/** From its newest backup that can be read, else from the instance's document. */
async function whereaboutsOf(vault: VaultReader, {name, backups, taken}: Instance): Promise<Whereabouts | undefined> {
  const newest = await newestReadable(backups, (backup) => readDatabaseBackup(vault, name, backup));
  return newest?.body.source ?? taken;
}

/** Three words that name no instance of the store. @param pick returns a number from 0 to below its argument */
export function newInstanceName(taken: readonly Instance[], pick: (below: number) => number = randomInt): string {
  for (;;) {
    const name = [0, 1, 2].map(() => words[pick(words.length)]).join('-');
    if (taken.every((instance) => instance.name !== name)) return name;
  }
}
