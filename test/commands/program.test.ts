import {Command} from 'commander';
import {expect, test, vi} from 'vitest';
import type {GlobalFlags} from '../../src/app/deps.ts';
import type {CommandDeps} from '../../src/commands/deps.ts';
import {type CommandGroup, commandGroups, runProgram} from '../../src/commands/program.ts';

function program() {
  const ran = vi.fn();
  const loaded: string[] = [];
  const group = (name: string): CommandGroup => ({
    name,
    summary: `what ${name} is for`,
    hidden: name === 'secret',
    load: async () => {
      loaded.push(name);
      return {
        command: () =>
          new Command(name)
            .addCommand(new Command('list').option('-s, --size <n>', 'size').action((flags) => ran(name, flags)))
            .addCommand(
              new Command('say')
                .argument('<text>')
                .option('-s, --size <n>', 'size')
                .action((text) => ran(text)),
            )
            .addCommand(new Command('fail').action(() => Promise.reject(new Error('inside')))),
      };
    },
  });
  const it = {text: '', flags: undefined as GlobalFlags | undefined, ran, loaded};
  const run = (...args: string[]) =>
    runProgram(args, {
      groups: ['first', 'second', 'secret'].map(group),
      openDeps: async (flags) => {
        it.flags = flags;
        return {} as CommandDeps;
      },
      write: (text) => {
        it.text += text;
      },
      columns: 80,
      version: () => '1.2.3',
    });
  return Object.assign(it, {run});
}

test('only the named group is loaded, and global options may be anywhere', async () => {
  const it = program();
  await it.run('--source', 'a.db', 'first', 'list', '-s', '2', '--home=h', '--no-color');
  expect(it.loaded).toEqual(['first']);
  expect(it.flags).toEqual({source: 'a.db', home: 'h', color: false});
  expect(it.ran).toHaveBeenCalledExactlyOnceWith('first', {size: '2'});
});

test('colours are on unless --no-color is given', async () => {
  const it = program();
  await it.run('first', 'list');
  expect(it.flags).toEqual({color: true});
  await it.run('first', 'list', '--no-color');
  expect(it.flags).toEqual({color: false});
});

test.each([[[]], [['--help']], [['-h']], [['help']]])('%j prints the help from the table alone', async (args) => {
  const it = program();
  await it.run(...args);
  expect(it.loaded).toEqual([]);
  expect(it.text).toMatch(/^ {2}second {2,}what second is for$/m);
  expect(it.text).not.toContain('secret');
  expect(it.text).toContain('Exit status:\n  0    done\n');
  expect(it.text).toMatch(/Examples:\n {2}\$ bkp /);
});

test.each([[['first']], [['first', '--help']], [['help', 'first']]])(
  '%j prints the help of the group',
  async (args) => {
    const it = program();
    await it.run(...args);
    expect(it.text).toContain('Usage: bkp first');
    expect(it.ran).not.toHaveBeenCalled();
  },
);

test.each([
  [['first', 'say', '-- a comment\nBACKUP x']],
  [['first', 'say', '--a comment\nBACKUP x']],
  [['first', 'say', '--\tBACKUP x']],
  [['first', 'say', '-s', '2', '--source=a b.db', '-- = is no value\nBACKUP x']],
  [['--home', '-- h', 'first', 'say', '--a\nBACKUP x']],
  [['first', 'say', '--', '--a=b\nBACKUP x']],
])('%j: a text that begins with a comment is no option', async (args) => {
  const it = program();
  await it.run(...args);
  expect(it.ran).toHaveBeenCalledOnce();
  expect(it.ran.mock.calls[0]![0].trim()).toBe(args.at(-1));
});

test.each([
  [['help', 'first', 'list'], 'Usage: bkp first list'],
  [['help', 'first', 'say'], 'Usage: bkp first say'],
  [['--home', 'h', 'help', 'first', 'list'], 'Usage: bkp first list'],
])('%j prints the help of the verb', async (args, usage) => {
  const it = program();
  await it.run(...args);
  expect(it.text.startsWith(usage)).toBe(true);
  expect(it.ran).not.toHaveBeenCalled();
});

test('--version prints the version and does nothing else', async () => {
  const it = program();
  await it.run('--version', 'first', 'list');
  expect(it.text).toBe('1.2.3\n');
  expect(it.ran).not.toHaveBeenCalled();
});

test.each([
  [['frist'], "unknown command 'frist'", 'did you mean first? See bkp --help'],
  [['first', 'lst'], "unknown command 'lst'", 'did you mean list? See bkp first --help'],
  [['first', 'list', '--sise', '2'], "unknown option '--sise'", 'did you mean --size? See bkp first list --help'],
  [['first', 'list', 'x'], "too many arguments for 'list': it takes 0 arguments, and got 1", 'bkp first list --help'],
  [['first', 'list', '-s'], "option '-s, --size <n>' argument missing", 'bkp first list --help'],
  [['--source'], "option '--source <source>' argument missing", 'bkp --help'],
  [
    ['first', 'say', '--a=b\nBACKUP x'],
    "unknown option for 'say'",
    "put a text that begins with -- after another --: bkp sql -- '…'",
  ],
  [['help', 'zzz'], "unknown command 'zzz'", 'bkp --help'],
  [['help', 'first', 'zzz'], "unknown command 'zzz'", 'bkp first --help'],
])('%j is wrong usage', async (args, message, next) => {
  const it = program();
  await expect(it.run(...args)).rejects.toMatchObject({name: 'BkpError', code: 'USAGE', message, next});
  expect(it.text).toBe('');
});

/** The groups of bkp itself. */
const real = {openDeps: async () => ({}) as CommandDeps, write: () => {}, columns: 80, version: () => '1.2.3'};

test('of a statement without quotes, the next step is the statement in quotes', async () => {
  await expect(runProgram(['sql', '--wait', 'BACKUP', 'shop'], real)).rejects.toMatchObject({
    code: 'USAGE',
    next: "put the statement into quotes: bkp sql 'BACKUP shop'",
  });
});

test('statements that were quoted one by one are one text in the next step', async () => {
  await expect(runProgram(['sql', 'SHOW BACKUPS IN shop', 'SELECT 1'], real)).rejects.toMatchObject({
    next: "put the statement into quotes: bkp sql 'SHOW BACKUPS IN shop; SELECT 1'",
  });
});

test.each([
  ['config', 'set', 'vault.password', 'hush', 'hush'],
  ['config', 'set', 'vault.password', '-hush'],
  ['config', 'set', 'vault.password', '--hush'],
  ['config', 'set', '--vault.password=hush'],
  ['config', '--vault.password=hush'],
  ['--stor=s3::bucket=b;secret_access_key=hush', 'store', 'check'],
  ['store', 'check', 's3::bucket=b;secret_access_key=hush'],
  ['vault', 'create', 'hush'],
  ['vault', 'key', 'add', '--pasword=hush'],
  ['sql', 'COPY', 'BACKUP', 'COLLECTION', 'c', 'TO', 's3::bucket=b;secret_access_key=hush'],
  ['sql', `COPY BACKUP COLLECTION c TO 's3::bucket=b;secret_access_key=hush'`, 'SELECT 1'],
  ['sql', `--a=b\nCOPY BACKUP COLLECTION c TO 's3::bucket=b;secret_access_key=hush'`],
])('the refusal of a command line repeats no secret: %s %s %s', async (...args) => {
  const error: unknown = await runProgram(args, real).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const {code, message, next} = error as {code: string; message: string; next: string};
  expect(code).toBe('USAGE');
  expect(`${message} ${next}`).not.toContain('hush');
});

test('an error of a command is passed on unchanged', async () => {
  await expect(program().run('first', 'fail')).rejects.toThrow('inside');
});

test('every group has the command of its name, and help that ends with exit statuses and examples', async () => {
  for (const {name, hidden, load} of commandGroups) {
    const command = (await load()).command({} as CommandDeps);
    expect(command.name()).toBe(name);
    if (hidden) continue;
    for (const each of [command, ...command.commands]) {
      let help = '';
      each.configureOutput({writeOut: (text) => (help += text)}).outputHelp();
      expect.soft(help, each.name()).toMatch(/\nExit status:\n {2}0 .*\n\nExamples:\n {2}\$ .*\n/s);
    }
  }
});
