import {randomBytes} from 'node:crypto';
import {join} from 'node:path';
import {compareWithSource, drill, drillBytes} from '../../collections/index.ts';
import {checkFile} from '../../query/index.ts';
import {openSource} from '../../sources/index.ts';
import {withSource} from '../places/source-places.ts';
import {reportAuthor} from './author.ts';
import {withScratch} from './scratch.ts';
import type {Run} from './work.ts';

/** A query that runs longer than a day is no check. */
const mostSeconds = 24 * 60 * 60;

export const drillCollection: Run<'drill'> = async (work, {collection, backup, queries, folder}) => {
  const {deps, vault, operation, signal} = work;
  const {selectMebibytes: mebibytes} = await deps.settings();
  const path = join(folder, 'restored.db');
  const bytes = await drillBytes(vault, {collection, backup});
  return withScratch(deps, folder, {
    bytes,
    use: async () => {
      const {rows, logicalBytes} = await drill(
        {
          ...work,
          scratch: await openSource({scheme: 'sqlite', path}),
          check: (sql) => checkFile(path, sql, {limits: {seconds: mostSeconds, mebibytes}, signal}),
          author: reportAuthor(deps, operation),
          random: randomBytes(4).toString('hex'),
        },
        {collection, backup, queries},
      );
      return {backup: `${collection}/${backup}`, rows, logicalBytes};
    },
  });
};

export const compareCollection: Run<'compare'> = async (work, {collection, backup, folder, place}) => {
  const {deps, vault, operation} = work;
  const bytes = await drillBytes(vault, {collection, backup});
  const run = () =>
    withSource(deps, place, async (source) => {
      const {rows, logicalBytes} = await compareWithSource(
        {
          ...work,
          source,
          scratch: await openSource({scheme: 'sqlite', path: join(folder, 'restored.db')}),
          author: reportAuthor(deps, operation),
          random: randomBytes(4).toString('hex'),
        },
        {collection, backup},
      );
      return {backup: `${collection}/${backup}`, rows, logicalBytes};
    });
  return withScratch(deps, folder, {bytes, use: run});
};
