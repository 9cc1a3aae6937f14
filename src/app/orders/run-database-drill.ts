import {randomBytes} from 'node:crypto';
import {join} from 'node:path';
import type {ReportedCheck} from '../../backups/index.ts';
import {databaseDrillBytes, drillDatabase} from '../../database/index.ts';
import {commandEnvironment} from '../../notify/index.ts';
import {checkedByServer, checkFile, type SelectLimits} from '../../query/index.ts';
import {openFileTarget, openRestored, type RestoredSql} from '../../sources/index.ts';
import {reportAuthor} from './author.ts';
import {withScratch} from './scratch.ts';
import type {Run} from './work.ts';

/** A query that runs longer than a day is no check. */
const mostSeconds = 24 * 60 * 60;

export const drillDatabaseOrder: Run<'dbdrill'> = async (work, {instance, backup, product, queries, folder}) => {
  const {deps, vault, operation, signal} = work;
  const {selectMebibytes: mebibytes, questdbCommand: line} = await deps.settings();
  const command = line === undefined ? undefined : {line, env: commandEnvironment(deps.env)};
  const place = join(folder, 'restored');
  const limits = {seconds: mostSeconds, mebibytes};
  return withScratch(deps, folder, {
    bytes: await databaseDrillBytes(vault, {instance, backup}),
    use: async () => {
      const restored = await openRestored(product, place, command);
      try {
        const {files, logicalBytes} = await drillDatabase(
          {
            ...work,
            target: await openFileTarget(product, {place}),
            restored,
            check: (sql, query) => checkIn(sql, query, {limits, signal}),
            author: reportAuthor(deps, operation),
            random: randomBytes(4).toString('hex'),
          },
          {instance, backup, queries},
        );
        return {instance, files, logicalBytes};
      } finally {
        await restored.close();
      }
    },
  });
};

async function checkIn(
  sql: RestoredSql,
  query: string,
  {limits, signal}: {limits: Omit<SelectLimits, 'rows'>; signal: AbortSignal},
): Promise<ReportedCheck> {
  if ('file' in sql) return checkFile(sql.file, query, {limits, signal});
  return checkedByServer(query, await sql.value(query, signal));
}
