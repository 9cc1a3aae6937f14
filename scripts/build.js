// Builds dist/ from src/: first the grammar and the WebAssembly, because the sources import what is generated from
// them; then one file for each part that is loaded separately. Loading many small source files one by one took
// longer than starting Node. `npm run typecheck` checks the types.
import {execFileSync} from 'node:child_process';
import {existsSync, readFileSync, rmSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {buildWasm} from './wasm.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tool = (name) => join(root, 'node_modules', '.bin', name);
const run = (name, args) => execFileSync(tool(name), args, {cwd: root, stdio: ['ignore', 'inherit', 'inherit']});

// An installed package has dist/ but no sources: `prepare` must do nothing there.
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
  await buildWasm(root);
  rmSync(join(root, 'dist'), {recursive: true, force: true});
  const {build} = await import('rolldown');
  const {dependencies} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const packages = Object.keys(dependencies).filter((name) => name !== 'execa' && name !== 'valibot');
  await build({
    input: {
      main: join(root, 'src', 'main.ts'),
      // Threads and processes, which are started by path.
      'decode-thread': join(root, 'src', 'vault', 'codec', 'decode-thread.ts'),
      'encoder-thread': join(root, 'src', 'vault', 'codec', 'encoder-thread.ts'),
      'page-thread': join(root, 'src', 'sources', 'sqlite', 'pages', 'page-thread.ts'),
      'layout-thread': join(root, 'src', 'sources', 'sqlite', 'layout', 'layout-thread.ts'),
      'select-process': join(root, 'src', 'query', 'select-process.ts'),
      'keeper-thread': join(root, 'src', 'keeper-thread.ts'),
      'check-thread': join(root, 'src', 'sources', 'sqlite', 'restore', 'check-thread.ts'),
      'quick-check-process': join(root, 'src', 'sources', 'sqlite', 'file', 'quick-check-process.ts'),
    },
    platform: 'node',
    // Packages are not bundled, with two exceptions. A notification loads execa and two dozen small packages behind
    // it, which takes long one by one. Of valibot, bundling keeps only the twentieth that is used.
    external: (id) => packages.some((name) => id === name || id.startsWith(`${name}/`)),
    output: {dir: join(root, 'dist'), format: 'esm'},
    logLevel: 'warn',
  });
}
