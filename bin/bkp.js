#!/usr/bin/env node
// Plain JavaScript that any Node since 14 can read: it decides which Node runs the rest.
import {spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';

/** The first with node:sqlite's authorizer and limits. */
const oldest = {major: 24, minor: 15};

const [major, minor] = process.versions.node.split('.').map(Number);
if (major > oldest.major || (major === oldest.major && minor >= oldest.minor)) {
  await import('../dist/main.js');
} else {
  goOnWithNewerNode();
}

/** The package `node` lies in our own node_modules, or beside us when it was hoisted. */
function goOnWithNewerNode() {
  const places = ['../node_modules/node/bin/node', '../../node/bin/node'];
  const node = places.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((file) => existsSync(file));
  if (node === undefined) {
    process.stderr.write(
      `bkp: Node ${oldest.major}.${oldest.minor} or newer is needed, this is ${process.versions.node}; get it from https://nodejs.org or with: npm install node@${oldest.major}\n`,
    );
    process.exitCode = 1;
    return;
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {stdio: 'inherit'});
  // The terminal sends its signals to both of us: the child decides what they mean, we only outlive it.
  // What is sent to our number alone is passed on.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`bkp: ${node} does not start: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('exit', (status, signal) => {
    if (signal === null) {
      process.exitCode = status;
      return;
    }
    // End as the child did, so that a shell sees the signal too.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
