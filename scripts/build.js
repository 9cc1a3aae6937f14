// Builds dist/ from src/: first the grammar and the WebAssembly, because the sources import what is generated from
// them. `npm run typecheck` checks the types.
import {execFileSync} from 'node:child_process';
import {existsSync, rmSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {bundle} from './bundle.js';
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
  await bundle(root);
}
