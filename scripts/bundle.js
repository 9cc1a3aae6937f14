// How src/ becomes the files of dist/. Node takes about half a millisecond to find, read and link a module, however
// small it is. So what is loaded together is one file: otherwise a statement and its worker load fifty files each.
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join, relative, sep} from 'node:path';

/**
 * Parts of `src` by the file they belong to. The first file that names a part has it, with everything that the part
 * imports statically. What none names is split by the bundler.
 */
const files = {
  // What main.ts needs before it tells Node to keep compiled code: as little as possible.
  base: ['errors', 'lib/code-cache', 'lib/files', 'lib/text', 'lib/wrap', 'config/index'],
  // What nearly every command loads.
  core: [
    ...['compose', 'commands/program', 'commands/follow', 'commands/colors', 'lib', 'config', 'ops', 'ui/index'],
    ...['app/orders/work-order', 'app/workers/elsewhere'],
  ],
  // What a statement on a collection and its worker load.
  work: [
    ...['commands/sql', 'commands/worker', 'app/orders', 'app/places', 'app/statements', 'app/workers/launch'],
    ...['collections', 'vault', 'stores/index', 'sources/index', 'sources/sqlite/index'],
  ],
};

/** Started by path, in a thread or process of their own: each is complete in itself, and so starts fast. */
const alone = {
  'decode-thread': 'vault/codec/decode-thread.ts',
  'encoder-thread': 'vault/codec/encoder-thread.ts',
  'page-thread': 'sources/sqlite/pages/page-thread.ts',
  'layout-thread': 'sources/sqlite/layout/layout-thread.ts',
  'check-thread': 'sources/sqlite/restore/check-thread.ts',
  'select-process': 'query/select-process.ts',
  'quick-check-process': 'sources/sqlite/file/quick-check-process.ts',
  'examine-process': 'sources/sqlite/file/examine-process.ts',
  'keeper-thread': 'keeper-thread.ts',
};

/**
 * Of valibot, bundling keeps only the twentieth that is used. execa and commander consist of many small files. All
 * other packages stay in node_modules.
 */
const bundled = ['execa', 'valibot', 'commander', 'croner'];

/** @param root the project's folder */
export async function bundle(root) {
  const {build} = await import('rolldown');
  const src = join(root, 'src');
  const {dependencies, peerDependencies} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const packages = Object.keys({...dependencies, ...peerDependencies}).filter((name) => !bundled.includes(name));
  const options = {
    platform: 'node',
    external: (id) => packages.some((name) => id === name || id.startsWith(`${name}/`)),
    // A module may be imported statically in one place and on demand in another, where it is usually not needed.
    checks: {ineffectiveDynamicImport: false},
    logLevel: 'warn',
  };
  const output = {dir: join(root, 'dist'), format: 'esm'};
  const isIn = (parts) => (id) => {
    const path = relative(src, id).split(sep).join('/');
    return parts.some((part) => path === `${part}.ts` || path.startsWith(`${part}/`));
  };
  const groups = Object.entries(files).map(([name, parts], at, {length}) => ({
    name,
    priority: length - at,
    test: isIn(parts),
  }));
  await build({...options, input: {main: join(src, 'main.ts')}, output: {...output, codeSplitting: {groups}}});
  const others = Object.entries(alone);
  await Promise.all(others.map(([name, file]) => build({...options, input: {[name]: join(src, file)}, output})));
  toAscii(output.dir);
}

/** V8 decodes and keeps a source of ASCII characters faster than one with others, which takes two bytes for each. */
function toAscii(dist) {
  for (const file of readdirSync(dist).filter((name) => name.endsWith('.js'))) {
    const code = readFileSync(join(dist, file), 'utf8');
    const escaped = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
    writeFileSync(join(dist, file), code.replace(/[\u0080-\uffff]/g, escaped));
  }
}
