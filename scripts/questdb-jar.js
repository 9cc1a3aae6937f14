/**
 * node scripts/questdb-jar.js [version]
 *
 * Downloads the QuestDB that `test/servers/questdb*.test.ts` use into the cache of scripts/servers.js, and
 * prints its path. An existing download is kept. Needs Maven; running QuestDB needs Java 17.
 */
import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync} from 'node:fs';
import {homedir} from 'node:os';
import {dirname, join, resolve} from 'node:path';

const newest = '9.3.4';
const hashes = {
  [newest]: '939bc53ab22f93dbaa6545143a6e7c536d4904c07b7f2d381e8eef10436be062',
  '9.3.0': 'e2f03857ebfcebe4f152494cc8b162ca0ea7903dd5a5caa95789ac4869a607d0',
  '9.0.1': 'e65fd59c56b7051b2667b3950470f35a58cc74b15f4fc19d62bd2256fe34aae1',
  '8.2.0': 'a15d12044629e774ca683489f861e9e3e780cd4ef9bbe25d1e2415f3c0274466',
};
const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy';
const fetchTimeoutMs = 10 * 60_000;

/** Path of the jar, downloaded or not. */
export function questDbJar(version = newest) {
  const caches = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const cache = resolve(process.env.BKP_SERVERS_DIR || join(caches, 'bkp-servers'));
  return join(cache, `questdb-${version}`, 'questdb.jar');
}

/** Downloads to a neighbouring path, checks the hash, and renames the file into place. */
export function fetchQuestDb(version = newest) {
  const sha256 = hashes[version];
  if (sha256 === undefined) throw new Error(`the hash of QuestDB ${version} is not known`);
  const jar = questDbJar(version);
  if (existsSync(jar)) return jar;
  mkdirSync(dirname(jar), {recursive: true});
  const temporary = mkdtempSync(join(dirname(jar), '.fetching-'));
  try {
    const args = ['-q', plugin, `-Dartifact=org.questdb:questdb:${version}`, `-DoutputDirectory=${temporary}`];
    execFileSync('mvn', args, {stdio: ['ignore', 2, 2], timeout: fetchTimeoutMs});
    const fetched = join(temporary, `questdb-${version}.jar`);
    const found = createHash('sha256').update(readFileSync(fetched)).digest('hex');
    if (found !== sha256) throw new Error(`${fetched} has SHA-256 ${found}, and ${sha256} was expected`);
    renameSync(fetched, jar);
  } finally {
    rmSync(temporary, {recursive: true, force: true});
  }
  return jar;
}

if (import.meta.main) console.log(fetchQuestDb(process.argv[2]));
