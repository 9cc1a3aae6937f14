// Builds dist/ from src/: the grammar first, because the sources import what it makes, then one file for each part that
// is loaded by itself. Small source files cost nothing then: loading them singly took longer than starting Node.
// Types are checked by `npm run typecheck`.
import {execFileSync} from 'node:child_process';
import {existsSync, readFileSync, rmSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tool = (name) => join(root, 'node_modules', '.bin', name);
const run = (name, args) => execFileSync(tool(name), args, {cwd: root, stdio: ['ignore', 'inherit', 'inherit']});

// An installed package has dist/ and no sources; `prepare` must then do nothing.
if (existsSync(join(root, 'src'))) {
  run('peggy', [
    '--format',
    'es',
    '--dts',
    '--allowed-start-rules',
    'Script,Lexemes',
    '--output',
    'src/sql/grammar.js',
    'src/sql/grammar.peggy',
  ]);
  rmSync(join(root, 'dist'), {recursive: true, force: true});
  const {build} = await import('rolldown');
  const {dependencies} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const packages = Object.keys(dependencies).filter((name) => name !== 'execa' && name !== 'valibot');
  await build({
    input: {
      main: join(root, 'src', 'main.ts'),
      // Started by their paths, as threads or processes.
      'decode-thread': join(root, 'src', 'vault', 'codec', 'decode-thread.ts'),
      'encoder-thread': join(root, 'src', 'vault', 'codec', 'encoder-thread.ts'),
      'select-process': join(root, 'src', 'query', 'select-process.ts'),
      'keeper-thread': join(root, 'src', 'keeper-thread.ts'),
      'quick-check-process': join(root, 'src', 'sources', 'sqlite', 'file', 'quick-check-process.ts'),
    },
    platform: 'node',
    // Packages stay packages. Only execa with the two dozen small ones behind it is put into one file: every statement
    // that starts work loads it, and singly they take longer than all the rest of the statement. Of valibot only what is
    // used comes in: a twentieth.
    external: (id) => packages.some((name) => id === name || id.startsWith(`${name}/`)),
    output: {dir: join(root, 'dist'), format: 'esm'},
    logLevel: 'warn',
  });
}
