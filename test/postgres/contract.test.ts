import {onTestFinished} from 'vitest';
import {describeTableSource} from '../sources/contract.ts';
import {clusterOfRun} from './cluster-of-run.ts';

const cluster = clusterOfRun(import.meta.filename);

describeTableSource({
  name: 'PostgreSQL',
  nameOf: (table) => `public.${table}`,
  async make() {
    const database = await cluster.create();
    onTestFinished(() => database.close());
    return database;
  },
});
