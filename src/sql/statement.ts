/** A position in the text, both numbers 1-based; columns count UTF-16 units. */
export type Place = {line: number; column: number};

/**
 * A name as written, without its backticks: `shop`, `/Root/shop/orders`, `main.orders`; see names.ts for what it
 * means.
 */
export type Name = {text: string; place: Place};

/** `key` in upper case. Known keys are checked when the statement is executed, not here. */
export type Setting = {key: string; value: string};

/** `incremental-or-full`: an increment if the chain can be continued, else a full backup. */
export type WantedBackup = 'full' | 'incremental' | 'incremental-or-full';

/** `except`: tables that stay out. */
export type Members = {kind: 'tables'; tables: readonly Name[]} | {kind: 'database'; except?: readonly Name[]};

/** A backup of a collection as written: the point may also be part of the name (`shop/<point>`), see `backupRef`. */
export type BackupRef = {collection: Name; point?: string};

/** A table that RESTORE names, and its name in the target. */
export type ChosenTable = {table: Name; as?: Name};

export type AlterAction =
  | {kind: 'set'; settings: readonly Setting[]}
  | {kind: 'reset'; keys: readonly string[]}
  | {kind: 'add-table' | 'drop-table'; table: Name}
  | {kind: 'add-database'; except?: readonly Name[]}
  | {kind: 'drop-database'};

/** The content of a statement, by kind. */
export type StatementBody =
  | {kind: 'create-collection'; name: Name; ifNotExists: boolean; members?: Members; settings: readonly Setting[]}
  | {kind: 'alter-collection'; name: Name; actions: readonly AlterAction[]}
  | {kind: 'drop-collection'; name: Name; ifExists: boolean; settings: readonly Setting[]}
  | {kind: 'drop-backup'; backup: BackupRef; settings: readonly Setting[]}
  | {kind: 'pin'; backup: BackupRef; until?: string; settings: readonly Setting[]}
  | {kind: 'unpin'; backup: BackupRef}
  | {kind: 'drop-database-backup'; timestamp: string; settings: readonly Setting[]}
  | {kind: 'pin-database'; timestamp: string; until?: string; settings: readonly Setting[]}
  | {kind: 'unpin-database'; timestamp: string}
  | {kind: 'backup'; collection: Name; type: WantedBackup; settings: readonly Setting[]}
  /** `tables`: only these; `target`: the database that gets them, as a source is written; `schema`: one in it. */
  | {
      kind: 'restore';
      backup: BackupRef;
      tables?: readonly ChosenTable[];
      target?: string;
      schema?: string;
      settings: readonly Setting[];
    }
  | {kind: 'verify'; backup: BackupRef; settings: readonly Setting[]}
  | {kind: 'backup-database'; settings: readonly Setting[]}
  | {kind: 'backup-abort'}
  | {kind: 'checkpoint'; action: 'create' | 'release'}
  /** `timestamp`: the newest backup that contains nothing from after it; `target`: a folder or a file. */
  | {
      kind: 'restore-database';
      tables?: readonly Name[];
      timestamp?: string;
      target: string;
      settings: readonly Setting[];
    }
  | {kind: 'verify-database'; timestamp?: string; settings: readonly Setting[]}
  /** `target`: a word for a store, or its address; see the statement's execution. */
  | {kind: 'copy'; backup: BackupRef; target: string}
  | {kind: 'show-collections'}
  | {kind: 'show-backups'; collection: Name}
  /** Not parsed further: SQLite reads its `text`. */
  | {kind: 'select'};

/** One statement, typed. `text` is as written, without the final `;`. */
export type Statement = {text: string; place: Place} & StatementBody;
