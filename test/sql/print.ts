import {
  type AlterAction,
  type BackupRef,
  type ChosenTable,
  type Members,
  type Name,
  quoteName,
  type Setting,
  type StatementBody,
} from '../../src/sql/index.ts';

/** All kinds except SELECT, which is only known as text. */
export type Printable = Exclude<StatementBody, {kind: 'select'}>;

/** A statement as text that parses to the same statement. */
export function print(statement: Printable): string {
  switch (statement.kind) {
    case 'create-collection': {
      const exists = statement.ifNotExists ? 'IF NOT EXISTS ' : '';
      return (
        `CREATE BACKUP COLLECTION ${exists}${name(statement.name)} ${members(statement.members)}WITH ` +
        `${settings(statement.settings)}`
      );
    }
    case 'alter-collection':
      return `ALTER BACKUP COLLECTION ${name(statement.name)} ${statement.actions.map(action).join(', ')}`;
    case 'drop-collection':
      return [
        `DROP BACKUP COLLECTION ${statement.ifExists ? 'IF EXISTS ' : ''}`,
        `${name(statement.name)}${options(statement.settings)}`,
      ].join('');
    case 'drop-backup':
      return `DROP BACKUP ${ref(statement.backup)}${options(statement.settings)}`;
    case 'drop-database-backup':
      return `DROP DATABASE BACKUP ${literal(statement.timestamp)}${options(statement.settings)}`;
    case 'pin':
      return `PIN BACKUP ${ref(statement.backup)}${until(statement.until)}${options(statement.settings)}`;
    case 'unpin':
      return `UNPIN BACKUP ${ref(statement.backup)}`;
    case 'pin-database':
      return [
        `PIN DATABASE BACKUP ${literal(statement.timestamp)}`,
        `${until(statement.until)}${options(statement.settings)}`,
      ].join('');
    case 'unpin-database':
      return `UNPIN DATABASE BACKUP ${literal(statement.timestamp)}`;
    case 'backup':
      return [
        `BACKUP ${name(statement.collection)}`,
        {full: '', incremental: ' INCREMENTAL', 'incremental-or-full': ' INCREMENTAL OR FULL'}[statement.type],
        options(statement.settings),
      ].join('');
    case 'restore':
      return [
        `RESTORE ${name(statement.backup.collection)}`,
        chosen(statement.tables),
        at(statement.backup.point),
        statement.target === undefined ? '' : ` INTO ${literal(statement.target)}`,
        statement.schema === undefined ? '' : ` INTO SCHEMA ${literal(statement.schema)}`,
        options(statement.settings),
      ].join('');
    case 'verify':
      return `VERIFY ${ref(statement.backup)}${options(statement.settings)}`;
    case 'backup-database':
      return `BACKUP DATABASE${options(statement.settings)}`;
    case 'backup-abort':
      return 'BACKUP ABORT';
    case 'checkpoint':
      return `CHECKPOINT ${statement.action.toUpperCase()}`;
    case 'restore-database': {
      const {tables, timestamp, target} = statement;
      const only = tables === undefined ? '' : ` ${tables.map((table) => `TABLE ${name(table)}`).join(', ')}`;
      return `RESTORE DATABASE${only}${moment(timestamp)} INTO ${literal(target)}${options(statement.settings)}`;
    }
    case 'verify-database':
      return `VERIFY DATABASE${moment(statement.timestamp)}${options(statement.settings)}`;
    case 'copy':
      return `COPY BACKUP COLLECTION ${ref(statement.backup)} TO ${literal(statement.target)}`;
    case 'show-collections':
      return 'SHOW BACKUP COLLECTIONS';
    case 'show-backups':
      return `SHOW BACKUPS IN ${name(statement.collection)}`;
  }
}

const name = ({text}: {text: string}) => quoteName(text);
const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
const moment = (timestamp: string | undefined) =>
  timestamp === undefined ? '' : ` TO TIMESTAMP ${literal(timestamp)}`;
const at = (point: string | undefined) => (point === undefined ? '' : ` AT ${literal(point)}`);
const until = (time: string | undefined) => (time === undefined ? '' : ` UNTIL ${literal(time)}`);
const ref = ({collection, point}: BackupRef) => name(collection) + at(point);
const chosen = (tables: readonly ChosenTable[] | undefined) =>
  tables === undefined
    ? ''
    : ` ${tables.map(({table, as}) => `TABLE ${name(table)}${as === undefined ? '' : ` AS ${name(as)}`}`).join(', ')}`;
const options = (all: readonly Setting[]) => (all.length === 0 ? '' : ` WITH ${settings(all)}`);
const settings = (all: readonly Setting[]) =>
  `(${all.map(({key, value}) => `${quoteName(key)} = ${literal(value)}`).join(', ')})`;

function members(of: Members | undefined): string {
  if (of === undefined) return '';
  return of.kind === 'database' ? `DATABASE${except(of)} ` : `${tableList(of.tables)} `;
}

const tableList = (tables: readonly Name[]) => `(${tables.map((table) => `TABLE ${name(table)}`).join(', ')})`;
const except = (of: {except?: readonly Name[]}) => (of.except === undefined ? '' : ` EXCEPT ${tableList(of.except)}`);

function action(of: AlterAction): string {
  switch (of.kind) {
    case 'set':
      return `SET ${settings(of.settings)}`;
    case 'reset':
      return `RESET (${of.keys.map((key) => quoteName(key)).join(', ')})`;
    case 'add-table':
      return `ADD TABLE ${name(of.table)}`;
    case 'drop-table':
      return `DROP TABLE ${name(of.table)}`;
    case 'add-database':
      return `ADD DATABASE${except(of)}`;
    case 'drop-database':
      return 'DROP DATABASE';
  }
}
