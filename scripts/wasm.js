// Compiles the modules in assembly/ to WebAssembly. Each becomes a JavaScript module with its bytes in base64, so that
// a bundle contains them. All of them use memory that their caller creates and shares with other threads.
import {mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';

const modules = {
  'assembly/pages.ts': 'src/sources/sqlite/pages/wasm.js',
  'assembly/lines.ts': 'src/sources/postgres/rows/wasm.js',
  'assembly/columns.ts': 'src/vault/codec/columns/wasm.js',
  'assembly/numbers.ts': 'src/vault/codec/numbers/wasm.js',
};

/** @param root the project's folder */
export async function buildWasm(root) {
  const {default: asc} = await import('assemblyscript/asc');
  for (const [source, target] of Object.entries(modules)) {
    const out = join(tmpdir(), `bkp-${process.pid}.wasm`);
    const {error, stderr} = await asc.main([
      join(root, source),
      ...['--outFile', out, '-O3', '--runtime', 'stub', '--noAssert'],
      ...['--importMemory', '--sharedMemory', '--initialMemory', '4', '--maximumMemory', '65536'],
      ...['--enable', 'simd', '--enable', 'threads', '--enable', 'bulk-memory'],
    ]);
    if (error) throw new Error(`${source} does not compile:\n${stderr}`);
    const base64 = readFileSync(out).toString('base64');
    rmSync(out);
    mkdirSync(dirname(join(root, target)), {recursive: true});
    writeFileSync(join(root, target), `export const wasm = '${base64}';\n`);
    writeFileSync(join(root, target.replace(/\.js$/, '.d.ts')), 'export declare const wasm: string;\n');
  }
}
