import {onTestFinished} from 'vitest';
import {describeTableSource} from '../../sources/contract.ts';
import {clusterOfFile} from './cluster.ts';

const cluster = clusterOfFile();

describeTableSource({
  name: 'PostgreSQL',
  nameOf: (table) => `public.${table}`,
  async make() {
    const database = await cluster().create();
    onTestFinished(() => database.close());
    return database;
  },
});
