// Packs the package, installs the tarball into an empty folder, and takes and restores one backup with the bkp in it.
import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
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
} finally {
  rmSync(folder, {recursive: true, force: true, maxRetries: 3});
}
