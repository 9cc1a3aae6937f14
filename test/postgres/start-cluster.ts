import type {TestProject} from 'vitest/node';
import {Cluster} from '../servers/postgres/cluster.ts';

declare module 'vitest' {
  interface ProvidedContext {
    postgres: {folder: string; port: number};
  }
}

/** Starts a real PostgreSQL for all tests in this folder. Only a socket leads to it. */
export default async function startCluster(project: TestProject): Promise<() => void> {
  const cluster = new Cluster('npm');
  try {
    await cluster.start({listen_addresses: ''});
  } catch (error) {
    cluster.stop();
    throw error;
  }
  project.provide('postgres', {folder: cluster.folder, port: cluster.port});
  return () => cluster.stop();
}
