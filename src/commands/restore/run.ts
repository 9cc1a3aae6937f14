import {databasePlan, type RestoreWish, restoreDatabaseInto} from '../../app/statements/database-restore.ts';
import {BkpError} from '../../errors/index.ts';
import {quotedName} from '../../lib/sqlite-tokens.ts';
import {parse, quoteName, quoteText} from '../../sql/index.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {report, runStatements} from '../sql/run.ts';
import {readRestoreFile} from './properties.ts';

export type RestoreOptions = {
  collection?: string | undefined;
  table: readonly string[];
  at?: string;
  into?: string;
  intoSchema?: string;
  mode?: 'merge' | 'replace';
  partial: boolean;
  check?: 'quick' | 'full';
  root?: string;
  instance?: string;
  timestamp?: string;
  conf: boolean;
  dryRun: boolean;
  wait: boolean;
  format: RowFormat;
};

export async function runRestore(deps: CommandDeps, options: RestoreOptions): Promise<void> {
  const {collection, root, wait, format} = options;
  if ((collection === undefined) === (root === undefined)) {
    throw new BkpError('USAGE', 'name either a collection or --root', {
      next: 'bkp restore shop --dry-run, or bkp restore --root ./new.db --dry-run',
    });
  }
  if (collection !== undefined) {
    if (options.into !== undefined && options.intoSchema !== undefined) {
      throw new BkpError('USAGE', '--into and --into-schema do not go together', {
        next: 'name the other database with --source, and the schema with --into-schema',
      });
    }
    refuse(options, ['instance', 'timestamp', 'conf'], 'with --root');
    await runStatements(deps, parse(statementOf(collection, options)), {wait, format});
    return;
  }
  refuse(options, ['into', 'intoSchema', 'mode', 'check'], 'with a collection');
  await runDatabaseRestore(deps, {...options, root: root!});
}

/** @throws BkpError `USAGE` */
function refuse(options: RestoreOptions, names: readonly (keyof RestoreOptions)[], where: string): void {
  const given = names.find((name) => options[name] !== undefined && options[name] !== false);
  if (given === undefined) return;
  throw new BkpError(
    'USAGE',
    `--${given.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)} is only possible ${where}`,
    {next: 'bkp restore --help'},
  );
}

/** The statement that the options stand for. */
export function statementOf(
  collection: string,
  {table, at, into, intoSchema, mode, partial, check, dryRun}: Omit<RestoreOptions, 'collection' | 'wait' | 'format'>,
): string {
  const settings = Object.entries({
    ...(dryRun ? {DRY_RUN: 'true'} : {}),
    ...(check === undefined ? {} : {CHECK: check}),
    ...(mode === undefined ? {} : {MODE: mode}),
    ...(partial ? {PARTIAL: 'true'} : {}),
  }).map(([key, value]) => `${key}=${quoteText(value)}`);
  return [
    `RESTORE ${quoteName(collection)}`,
    ...(table.length === 0 ? [] : [table.map(tableOf).join(', ')]),
    ...(at === undefined ? [] : [`AT ${quoteText(at)}`]),
    ...(into === undefined ? [] : [`INTO ${quoteText(into)}`]),
    ...(intoSchema === undefined ? [] : [`INTO SCHEMA ${quoteText(intoSchema)}`]),
    ...(settings.length === 0 ? [] : [`WITH (${settings.join(', ')})`]),
  ].join(' ');
}

/**
 * `orders` or `orders=orders_before`; a name with `=` in it is written in double quotes. The backup knows whether a
 * table has quotes in its name; a new name in quotes is the one between them.
 */
function tableOf(written: string): string {
  const renamed = quotedName(written) === undefined && /^((?:"(?:[^"]|"")*"|[^=])+?)=(.+)$/s.exec(written);
  const [, name = written, as] = renamed || [];
  return `TABLE ${quoteName(name)}${as === undefined ? '' : ` AS ${quoteName(quotedName(as) ?? as)}`}`;
}

async function runDatabaseRestore(deps: CommandDeps, options: RestoreOptions & {root: string}): Promise<void> {
  const {root, dryRun, partial, wait, format} = options;
  const file = readRestoreFile(root) ?? {};
  // The file's store counts as BKP_STORE does: a flag still wins.
  const own = file.store === undefined ? deps : await deps.again({store: file.store});
  const instance = options.instance ?? file.instance;
  const timestamp = options.timestamp ?? options.at ?? file.timestamp;
  const wish: RestoreWish = {
    target: root,
    statement: 'bkp restore',
    instance,
    timestamp,
    ...(options.table.length === 0 ? {} : {tables: options.table}),
    ...(options.conf ? {withConf: true} : {}),
    ...(partial ? {partial} : {}),
  };
  const result = await (dryRun ? databasePlan : restoreDatabaseInto)(own, wish);
  await report(deps, result, {wait, format});
}
