import {randomBytes} from 'node:crypto';
import {join} from 'node:path';
import type {ReportedCheck} from '../../backups/index.ts';
import {databaseDrillBytes, drillDatabase} from '../../database/index.ts';
import type {QueryEnd} from '../../lib/query-end.ts';
import {commandEnvironment} from '../../notify/index.ts';
import {checkedByServer, checkFile} from '../../query/index.ts';
import {openFileTarget, openRestored, type RestoredSql} from '../../sources/index.ts';
import {reportAuthor} from './author.ts';
import {withScratch} from './scratch.ts';
import type {Run} from './work.ts';

export const drillDatabaseOrder: Run<'dbdrill'> = async (work, {instance, backup, product, queries, folder}) => {
  const {deps, vault, operation, signal} = work;
  const {selectMebibytes: mebibytes, checkSeconds: seconds, questdbCommand: line} = await deps.settings();
  const command = line === undefined ? undefined : {line, env: commandEnvironment(deps.env)};
  const place = join(folder, 'restored');
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
            check: (sql, query) => checkIn(sql, query, {seconds, mebibytes, signal}),
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

async function checkIn(sql: RestoredSql, query: string, end: QueryEnd & {mebibytes: number}): Promise<ReportedCheck> {
  if ('file' in sql) return checkFile(sql.file, query, end);
  return checkedByServer(query, await sql.value(query, end));
}
