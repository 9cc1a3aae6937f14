import {BkpError} from '../../errors/index.ts';
import {quoteName} from '../../sql/index.ts';
import {isDamage, type VaultReader} from '../../vault/index.ts';
import type {LiveCollection} from '../stored/folder.ts';
import {type Backup, readBackup} from '../stored/manifest.ts';
import type {MemberTables} from './members.ts';

/** Whether every increment fails with this code until a full backup starts a new chain. */
export function needsFull(code: string): boolean {
  return code === 'CHAIN_BROKEN' || code === 'OBJECT_DAMAGED' || code === 'OBJECT_MISSING';
}

/** The backup that an increment builds on. @throws BkpError `BAD_REQUEST` | `OBJECT_DAMAGED` | `CHAIN_BROKEN` */
export async function requireChain(vault: VaultReader, live: LiveCollection): Promise<Backup> {
  const {definition, backups} = live;
  const takeFull = `BACKUP ${quoteName(definition.name)} takes a full backup`;
  if (!definition.settings.incremental) {
    throw new BkpError('BAD_REQUEST', 'Incremental backup is disabled on this collection', {
      next:
        `ALTER BACKUP COLLECTION ${quoteName(definition.name)} SET (INCREMENTAL_BACKUP_ENABLED='true'), then a ` +
        'full backup',
    });
  }
  const newest = backups.at(-1);
  if (newest === undefined) {
    throw new BkpError(
      'BAD_REQUEST',
      `collection ${definition.name} has no full backup that an increment could build on`,
      {
        next: takeFull,
      },
    );
  }
  const parent = await readBackup(vault, definition.name, newest).catch((error: unknown) => {
    if (!isDamage(error)) throw error;
    throw new BkpError('OBJECT_DAMAGED', `backup ${newest}, which an increment would build on, cannot be read`, {
      cause: error,
      next: takeFull,
    });
  });
  if (parent.body.collection.id !== definition.id) {
    throw new BkpError('CHAIN_BROKEN', `backup ${newest} is of an earlier collection ${definition.name}`, {
      next: takeFull,
    });
  }
  if (parent.body.mark === undefined) {
    throw new BkpError('BAD_REQUEST', `backup ${newest} was taken without change tracking`, {
      next: takeFull,
    });
  }
  return parent;
}

/** Where the source's snapshot of changes starts. */
export function sinceOf(parent: Backup, owner: string) {
  const tracked = parent.body.tables.filter(({whole}) => whole !== true);
  const fingerprints = Object.fromEntries(tracked.map(({schema}) => [schema.name, schema.fingerprint]));
  return {owner, mark: parent.body.mark!, fingerprints};
}

/** What the parent has beside rows. */
export function partsOf({body}: Backup) {
  const {tables, objects = [], source} = body;
  return {schemas: tables.map(({schema}) => schema), objects, database: source.database};
}

/** What an increment has more and less than its parent, a sentence each. */
export function memberChanges(parent: Backup, {tables}: MemberTables): readonly string[] {
  const before = parent.body.tables.map(({schema}) => schema.name);
  const joined = tables.filter((table) => !before.includes(table));
  const left = before.filter((table) => !tables.includes(table));
  return [
    ...(joined.length > 0 ? [`new since ${parent.body.backup}, with all rows: ${joined.join(', ')}`] : []),
    ...(left.length > 0 ? [`in ${parent.body.backup}, and no longer in the collection: ${left.join(', ')}`] : []),
  ];
}
