import {Command} from 'commander';
import {expect, test} from 'vitest';
import type {CommandDeps} from '../../../src/commands/deps.ts';
import {command} from '../../../src/commands/restore/index.ts';
import {type RestoreOptions, runRestore, statementOf} from '../../../src/commands/restore/run.ts';
import {parse} from '../../../src/sql/index.ts';

/** The options as the command line gives them. */
async function optionsOf(...args: string[]): Promise<RestoreOptions> {
  let given: RestoreOptions | undefined;
  const restore = command({} as CommandDeps, async (_, options) => {
    given = options;
  });
  await new Command()
    .exitOverride()
    .addCommand(restore)
    .parseAsync(['restore', ...args], {from: 'user'});
  return given!;
}

test.each([
  [['shop'], 'RESTORE shop'],
  [['shop/20261121120000Z_full'], 'RESTORE `shop/20261121120000Z_full`'],
  [['database', '--table', 'orders', '--table', 'my table'], 'RESTORE `database` TABLE orders, TABLE `my table`'],
  [['shop', '--table', 'orders=old orders', '--at', '-1day'], "RESTORE shop TABLE orders AS `old orders` AT '-1day'"],
  [['shop', '--table', '"my table"=copy'], 'RESTORE shop TABLE `"my table"` AS copy'],
  [['shop', '--table', 'orders="my copy"'], 'RESTORE shop TABLE orders AS `my copy`'],
  [['shop', '--table', '"a=b"', '--table', '"c=d"=e'], 'RESTORE shop TABLE `"a=b"`, TABLE `"c=d"` AS e'],
  [['shop', '--into', "./it's.db", '--dry-run'], "RESTORE shop INTO './it''s.db' WITH (DRY_RUN='true')"],
  [
    ['shop', '--check', 'full', '--mode', 'merge', '--partial'],
    "RESTORE shop WITH (CHECK='full', MODE='merge', PARTIAL='true')",
  ],
])('bkp restore %j is a statement', async (args, statement) => {
  const {collection, ...options} = await optionsOf(...args);
  expect(statementOf(collection!, options)).toBe(statement);
  expect(parse(statement)).toMatchObject([{kind: 'restore'}]);
});

test.each([
  [[], 'name either a collection or --root'],
  [['shop', '--root', './new.db'], 'name either a collection or --root'],
  [['shop', '--instance', 'x'], '--instance is only possible with --root'],
  [['shop', '--conf'], '--conf is only possible with --root'],
  [['--root', './new.db', '--into', './x.db'], '--into is only possible with a collection'],
  [['--root', './new.db', '--mode', 'merge'], '--mode is only possible with a collection'],
])('bkp restore %j is refused', async (args, message) => {
  const options = await optionsOf(...args);
  await expect(runRestore({} as CommandDeps, options)).rejects.toMatchObject({code: 'USAGE', message});
});
