import {backupMicros, type DatabaseBackupBody} from '../../database/index.ts';
import {BkpError} from '../../errors/index.ts';
import {microsText} from '../../lib/time.ts';
import {splitChecks, splitForeignChecks} from '../../query/index.ts';
import {capabilitiesOf} from '../../sources/index.ts';
import type {Deps} from '../deps.ts';
import {scratchFolder} from '../orders/scratch.ts';
import {startOperation} from '../orders/start.ts';
import type {Workplace} from '../places/workplace.ts';
import type {StatementResult} from './result.ts';

/** VERIFY DATABASE with LEVEL='restore', of one backup. @throws BkpError `SYNTAX` | `PRECONDITION` for CHECK_SQL */
export async function startDatabaseDrill(
  deps: Deps,
  {
    place,
    body,
    queries,
    statement,
  }: {
    place: Workplace;
    body: DatabaseBackupBody;
    queries: string | undefined;
    statement: string;
  },
): Promise<StatementResult> {
  const {instance, backup, database} = body;
  const operation = await startOperation(
    deps,
    {
      ...{do: 'dbdrill', place, instance, backup, product: database.product, folder: await scratchFolder(deps)},
      queries: queries === undefined ? [] : await checksFor(deps, database.product, queries),
    },
    {
      ...{kind: 'verify', subject: {kind: 'databases'}, shared: true, statement},
      backup: `${instance}/${microsText(backupMicros(backup))}`,
    },
  );
  return {operation, notices: []};
}

async function checksFor(deps: Deps, product: DatabaseBackupBody['database']['product'], text: string) {
  const {title, needsServer} = capabilitiesOf(product);
  if (!needsServer) return splitChecks(text);
  if ((await deps.settings()).questdbCommand !== undefined) return splitForeignChecks(text);
  throw new BkpError('PRECONDITION', `CHECK_SQL needs a ${title} server that opens the restored database`, {
    cause: 'verify.questdb.command is not set',
    next:
      'bkp config set verify.questdb.command ' +
      "'java -p /opt/questdb/questdb.jar -m io.questdb/io.questdb.ServerMain'",
  });
}
