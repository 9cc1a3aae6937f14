import * as v from 'valibot';
import {storedKeepSchema} from '../../backups/index.ts';
import type {BackupName, BackupType} from '../../collections/index.ts';
import type {DatabaseBackupName, DatabaseKeep} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import {count, name, opaque, parsed, text} from '../../lib/schema.ts';
import {type Operation, operationId} from '../../ops/index.ts';
import type {Choice, DatabaseMoment, MergeMode, TableSchema, TargetWish} from '../../sources/index.ts';
import type {VerifyBudget, VerifyLevel} from '../../vault/index.ts';
import type {Workplace} from '../places/workplace.ts';

/** What a worker runs: the `work` of an operation. */
export type WorkOrder = {
  /** The profile in use: a process that finds the worker dead notifies the targets of this profile. */
  profile?: string;
} & (DatabaseOrder | CollectionOrder);

type CollectionOrder = {
  place: Workplace;
} /** `orFull`: a full backup if the chain cannot be continued; `fullInstead`: why this one is full already. */ & (
  | {
      do: 'backup';
      collection: string;
      type: BackupType;
      name: BackupName;
      adopt?: boolean;
      orFull?: boolean;
      fullInstead?: string;
    }
  /**
   * `choice`: what of the backup; absent: everything. `mode`: change the rows of tables that exist. `dryRun`: only
   * count what a mode would change. `partial`: without what is damaged.
   */
  | {
      do: 'restore';
      collection: string;
      backup: BackupName;
      stagingId: string;
      check: 'quick' | 'full';
      choice?: Choice;
      mode?: MergeMode;
      dryRun?: true;
      partial?: true;
    }
  | {do: 'verify'; collection: string; backup?: BackupName; level: VerifyLevel; budget?: VerifyBudget; heal?: Workplace}
  /** The newest backup, and the source. */
  | {do: 'compare'; collection: string; backup: BackupName; folder: string; onServer?: true}
  /**
   * `folder`: where the backup is restored; it is removed at the end. `onServer`: instead into a new database on the
   * source's server, with the folder's digits in its name.
   */
  | {
      do: 'drill';
      collection: string;
      backup: BackupName;
      queries: readonly string[];
      folder: string;
      onServer?: true;
    }
  | {do: 'copy'; collection: string; backup?: BackupName; to: Workplace}
  /** With `collection`: also removes what its KEEP_… settings do not keep; with `drop`, that backup instead. */
  | {do: 'cleanup'; collection?: string; drop?: BackupName}
  /** Seals again what is under older keys than the newest. */
  | {do: 'reencrypt'}
);

type DatabaseOrder = {place: Workplace} /** `adopt`: the instance to continue, wherever its backups were taken. */ & (
  | ({do: 'dbbackup'; name: DatabaseBackupName; adopt?: string} & DatabaseKeep)
  | {do: 'dbrestore'; request: DatabaseRestoreOrder; product: DatabaseMoment['product']}
  | {do: 'dbdrop'; instance: string; backup: DatabaseBackupName}
  /** `folder`: where the backup is restored; it is removed at the end. */
  | {
      do: 'dbdrill';
      instance: string;
      backup: DatabaseBackupName;
      product: DatabaseMoment['product'];
      queries: readonly string[];
      folder: string;
    }
  | {
      do: 'dbverify';
      level: VerifyLevel;
      budget?: VerifyBudget;
      heal?: Workplace;
      instance?: string;
      backup?: DatabaseBackupName;
    }
);

export type DatabaseRestoreOrder = {
  instance: string;
  at: number;
  tables?: readonly string[];
  optional?: boolean;
  target: string;
  /** Without the tables that are damaged. */
  partial?: true;
};

/** The target of a restore as its source opens it. */
export const targetOf = ({target, tables, optional}: DatabaseRestoreOrder): TargetWish => ({
  place: target,
  ...(tables === undefined ? {} : {tables}),
  ...(optional === undefined ? {} : {withConf: optional}),
});

const maybe = v.exactOptional;
const storage = v.picklist(['cluster', 's3']);
const store = v.variant('kind', [
  v.object({kind: v.literal('directory'), root: name}),
  v.object({
    kind: v.literal('s3'),
    bucket: name,
    root: text,
    region: maybe(text),
    endpoint: maybe(text),
    caCertFile: maybe(text),
    caBuiltinRoots: v.boolean(),
  }),
]);
const place = v.object({
  source: maybe(name),
  storage,
  store,
  vault: maybe(name),
  compressionLevel: v.number(),
  compressionThreads: count,
  requestsAtOnce: count,
  retentionDays: maybe(count),
  limits: v.object({uploadBytesPerSecond: maybe(count), downloadBytesPerSecond: maybe(count)}),
});
/** Whether the backup exists is checked when the order runs. */
const backup = v.custom<BackupName>((value) => typeof value === 'string' && value !== '');
const databaseBackup = v.custom<DatabaseBackupName>((value) => typeof value === 'string' && value !== '');
const level = v.picklist(['structure', 'data']);
const budget = maybe(v.object({bytes: v.optional(count), ms: v.optional(count)}));
const common = {profile: maybe(text), place};
const request = v.object({
  instance: name,
  at: count,
  tables: maybe(v.pipe(v.array(text), v.readonly())),
  optional: maybe(v.boolean()),
  target: name,
  partial: maybe(v.literal(true)),
});
const schemaParts = v.object({name: text, fingerprint: text, definition: opaque});
/** Its definition is the source's own, which parses it. */
const schema = v.custom<TableSchema>((value) => v.is(schemaParts, value));
const choice = v.object({
  tables: v.pipe(v.array(v.object({name: text, as: maybe(schema)})), v.readonly()),
  objects: v.pipe(v.array(text), v.readonly()),
  notices: v.pipe(v.array(text), v.readonly()),
});
const orderSchema = v.variant('do', [
  v.object({
    ...common,
    do: v.literal('backup'),
    collection: name,
    type: v.picklist(['full', 'incremental']),
    name: backup,
    adopt: maybe(v.boolean()),
    orFull: maybe(v.boolean()),
    fullInstead: maybe(text),
  }),
  v.object({
    ...common,
    do: v.literal('restore'),
    collection: name,
    backup,
    stagingId: name,
    check: v.picklist(['quick', 'full']),
    choice: maybe(choice),
    mode: maybe(v.picklist(['merge', 'replace'])),
    dryRun: maybe(v.literal(true)),
    partial: maybe(v.literal(true)),
  }),
  v.object({
    ...common,
    do: v.literal('verify'),
    collection: name,
    backup: maybe(backup),
    level,
    budget,
    heal: maybe(place),
  }),
  v.object({
    ...common,
    do: v.literal('compare'),
    collection: name,
    backup,
    folder: name,
    onServer: maybe(v.literal(true)),
  }),
  v.object({
    ...common,
    do: v.literal('drill'),
    collection: name,
    backup,
    queries: v.pipe(v.array(text), v.readonly()),
    folder: name,
    onServer: maybe(v.literal(true)),
  }),
  v.object({...common, do: v.literal('copy'), collection: name, backup: maybe(backup), to: place}),
  v.object({...common, do: v.literal('cleanup'), collection: maybe(name), drop: maybe(backup)}),
  v.object({...common, do: v.literal('reencrypt')}),
  v.object({
    ...common,
    do: v.literal('dbdrill'),
    instance: name,
    backup: databaseBackup,
    product: v.picklist(['questdb', 'sqlite']),
    queries: v.pipe(v.array(text), v.readonly()),
    folder: name,
  }),
  v.object({...common, do: v.literal('dbdrop'), instance: name, backup: databaseBackup}),
  v.object({
    ...common,
    do: v.literal('dbbackup'),
    name: databaseBackup,
    keepLatest: v.pipe(count, v.minValue(1)),
    keep: maybe(storedKeepSchema),
    zone: maybe(name),
    adopt: maybe(name),
  }),
  v.object({...common, do: v.literal('dbrestore'), request, product: v.picklist(['questdb', 'sqlite'])}),
  v.object({
    ...common,
    do: v.literal('dbverify'),
    level,
    budget,
    heal: maybe(place),
    instance: maybe(name),
    backup: maybe(databaseBackup),
  }),
]);

/** Does not compile when the type allows an order that the schema refuses. */
export type AllTaken = Taken<WorkOrder, v.InferOutput<typeof orderSchema>>;
type Taken<T extends Known, Known> = T;

/** For the worker that runs it. @throws BkpError `JOURNAL_UNAVAILABLE` when the journal holds something else */
export function requireOrder(operation: Pick<Operation, 'number' | 'kind' | 'work'>): WorkOrder {
  const id = operationId(operation);
  return parsed<WorkOrder>(orderSchema, operation.work, (why) => {
    return new BkpError('JOURNAL_UNAVAILABLE', `the journal does not say what ${id} should do`, {
      cause: why,
      next: 'give the statement again',
      context: {operation: id},
    });
  });
}

/** For commands that read other operations. @returns undefined for what is not an order of bkp */
export function orderOf(operation: Pick<Operation, 'number' | 'kind' | 'work'>): WorkOrder | undefined {
  try {
    return requireOrder(operation);
  } catch {
    return undefined;
  }
}
