// Packs the package, installs the tarball into an empty folder, and takes and restores one backup with it. Then
// runs the container's commands from docs/schedule.md.
import {execFileSync} from 'node:child_process';
import {copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {fileURLToPath} from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = mkdtempSync(join(tmpdir(), 'bkp-package-'));
const project = join(folder, 'project');

const run = (command, args, cwd) => {
  console.log(`$ ${command} ${args.join(' ')}`);
  return execFileSync(command, args, {cwd, encoding: 'utf8', env: {...process.env, BKP_HOME: join(folder, 'home')}});
};
const bkp = (...args) =>
  run(process.execPath, [join(project, 'node_modules', 'bkp', 'bin', 'bkp.js'), ...args], folder);
const rowsOf = (file) => {
  const db = new DatabaseSync(join(folder, file), {readOnly: true});
  const rows = JSON.stringify(db.prepare('SELECT * FROM notes ORDER BY id').all());
  db.close();
  return rows;
};

/** The commands of the Dockerfile in the manual, with temporary folders instead of a container's. */
function tryContainer(packed) {
  const manual = readFileSync(join(root, 'docs', 'schedule.md'), 'utf8');
  const dockerfile = /^```dockerfile\n(.*?)^```$/ms.exec(manual)[1];
  const [, from, to] = /^COPY (\S+) (\S+)$/m.exec(dockerfile);
  const [, install] = /^RUN (.*)$/m.exec(dockerfile);
  const [, home] = /^ENV BKP_HOME=(\S+)$/m.exec(dockerfile);
  const words = JSON.parse(/^CMD (.*)$/m.exec(dockerfile)[1]);
  if (from !== 'bkp.tgz' || home === undefined) throw new Error(`unexpected Dockerfile: ${dockerfile}`);
  const inside = join(folder, 'container');
  mkdirSync(join(inside, 'tmp'), {recursive: true});
  copyFileSync(join(folder, packed), join(inside, to));
  const shell = (line) => {
    console.log(`$ ${line}`);
    const env = {
      ...process.env,
      PATH: `${join(inside, 'bin')}:${dirname(process.execPath)}:${process.env.PATH}`,
      npm_config_prefix: inside,
      npm_config_prefer_offline: 'true',
      BKP_HOME: join(inside, home),
    };
    return execFileSync('sh', ['-c', line], {cwd: inside, encoding: 'utf8', env});
  };
  shell(install.replaceAll('/tmp/', `${inside}/tmp/`));
  if (existsSync(join(inside, to))) throw new Error('the tarball is still in the image');
  shell(
    `bkp config set source ${join(folder, 'app.db')} && bkp config set backup.object.store fs::root=${inside}/store`,
  );
  shell("bkp config set backup.schedule.cron '30 1 * * *'");
  shell(`${words.join(' ')} --once && bkp operation wait last`);
  console.log('the commands of the container take the first backup of a schedule');
}

try {
  const packed = run('npm', ['pack', '--silent', '--pack-destination', folder], root).trim().split('\n').at(-1);
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{"private": true}');
  run('npm', ['install', '--no-progress', '--omit', 'dev', join(folder, packed)], project);

  const db = new DatabaseSync(join(folder, 'app.db'));
  db.exec("CREATE TABLE notes (id INTEGER PRIMARY KEY, text); INSERT INTO notes (text) VALUES ('one'), ('two')");
  db.close();
  console.log(bkp('--version'));
  bkp('config', 'set', 'source', 'sqlite::path=./app.db');
  bkp('sql', "CREATE BACKUP COLLECTION c (TABLE notes) WITH (STORAGE='cluster')");
  console.log(bkp('sql', '--wait', 'BACKUP c'));
  console.log(bkp('--source', 'restored.db', 'sql', '--wait', 'RESTORE c'));
  if (rowsOf('restored.db') !== rowsOf('app.db')) throw new Error('the restored rows are not those of the database');
  const linked = run(join(project, 'node_modules', '.bin', 'bkp'), ['operation', 'list', '--format', 'json'], folder);
  if (JSON.parse(linked).operations.length !== 2) throw new Error(`unexpected operations: ${linked}`);
  console.log('the installed package takes and restores a backup');
  tryContainer(packed);
} finally {
  rmSync(folder, {recursive: true, force: true, maxRetries: 3});
}
