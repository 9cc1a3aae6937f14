import {basename} from 'node:path';
import {inject} from 'vitest';
import {Cluster} from '../servers/postgres/cluster.ts';

/** The cluster that the tests of a run share. @param file `import.meta.filename`: no other file has its databases */
export const clusterOfRun = (file: string) =>
  Cluster.running(inject('postgres'), basename(file, '.test.ts').replaceAll('-', '_'));
