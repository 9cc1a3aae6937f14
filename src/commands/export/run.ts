import {extname} from 'node:path';
import {type Exported, exportToFile, exportToStream} from '../../app/looking/export.ts';
import {BkpError} from '../../errors/index.ts';
import {formatCount} from '../../lib/figures.ts';
import {shellQuoted} from '../../lib/text.ts';
import type {CommandDeps} from '../deps.ts';

export const exportFormats = ['database', 'csv', 'jsonl', 'sql'] as const;

export type ExportOptions = {
  collection: string;
  file: string;
  at?: string;
  table: readonly string[];
  format?: (typeof exportFormats)[number];
};

type Format = NonNullable<ExportOptions['format']>;

const byEnding: Readonly<Record<string, Format>> = {
  '.db': 'database',
  '.sqlite': 'database',
  '.sqlite3': 'database',
  '.csv': 'csv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.sql': 'sql',
};

export async function runExport(deps: CommandDeps, options: ExportOptions): Promise<void> {
  const {collection, file, at, table: tables} = options;
  const request = {from: {collection, point: at}, file, tables};
  const format = formatOf(options);
  if (file === '-') {
    if (format === 'database') throw needsFile(collection);
    deps.stderr.write(summary(await exportToStream(deps, {...request, format}, deps.stdout), 'standard output'));
  } else deps.stderr.write(summary(await exportToFile(deps, {...request, format}), file));
}

function formatOf({file, format}: ExportOptions): Format {
  const known = format ?? byEnding[extname(file).toLowerCase()];
  if (known !== undefined) return known;
  if (file !== '-') {
    const what = `the name ${file} does not say what to write`;
    throw new BkpError('USAGE', what, {next: 'add --format csv, jsonl, sql (of PostgreSQL) or database (of SQLite)'});
  }
  throw new BkpError('USAGE', 'standard output needs a format', {
    next: 'add --format csv or jsonl, and --table; or, of PostgreSQL, --format sql',
  });
}

const needsFile = (collection: string) =>
  new BkpError('USAGE', 'a database needs a file', {
    next: `bkp export ${shellQuoted(collection)} copy.db; or --format csv or jsonl`,
  });

function summary({backup, tables, rows}: Exported, where: string): string {
  const of = tables === 1 ? '' : ` of ${tables} tables`;
  return `${formatCount(rows)} rows${of} from ${backup} are in ${where}\n`;
}
