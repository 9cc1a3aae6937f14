import {expect, onTestFinished, test} from 'vitest';
import {takeFull} from '../../sources/layers.ts';
import {clusterOfFile} from './cluster.ts';

const cluster = clusterOfFile(18);

test.each(['plain', 'tracked', 'describe'] as const)(
  'a table that another session has locked is an error after lockTimeout, and no longer once it is free: %s',
  async (how) => {
    const database = await cluster().create();
    onTestFinished(() => database.close());
    await database.exec(`CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a');
      CREATE TABLE other (id int PRIMARY KEY)`);
    const blocker = await cluster().client(database.name);
    onTestFinished(() => blocker.end());
    const source = database.with({lockTimeout: 1});
    onTestFinished(() => source.close());
    const options = {tables: ['public.t'], ...(how === 'tracked' ? {track: {owner: 'c'}} : {})};
    const work = async () => (how === 'describe' ? source.describe(['public.t']) : takeFull(source, options));
    await blocker.query('BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE');

    await expect(work()).rejects.toMatchObject({code: 'SOURCE_LOCKED'});
    await takeFull(source, {tables: ['public.other']});
    await blocker.query('ROLLBACK');
    await work();
  },
);
