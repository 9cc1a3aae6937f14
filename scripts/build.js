// Builds dist/ from src/: the grammar first, because the TypeScript sources import what it makes.
import {execFileSync} from 'node:child_process';
import {existsSync, rmSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tool = (name) => join(root, 'node_modules', '.bin', name);
const run = (name, args) => execFileSync(tool(name), args, {cwd: root, stdio: ['ignore', 'inherit', 'inherit']});

// An installed package has dist/ and no sources; `prepare` must then do nothing.
if (existsSync(join(root, 'src'))) {
  run('peggy', ['--format', 'es', '--dts', '--allowed-start-rules', 'Script,Lexemes', '--output', 'src/sql/grammar.js', 'src/sql/grammar.peggy']);
  rmSync(join(root, 'dist'), {recursive: true, force: true});
  run('tsc', ['-p', 'tsconfig.build.json']);
}
