#!/usr/bin/env node
// Plain JavaScript that every Node since 14 can parse: it decides which Node runs the rest.
import {spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';

/** The first version whose node:sqlite has an authorizer and limits. */
const oldest = {major: 24, minor: 15};

const [major, minor] = process.versions.node.split('.').map(Number);
if (major > oldest.major || (major === oldest.major && minor >= oldest.minor)) {
  await import('../dist/main.js');
} else {
  runWithNewerNode();
}

/** The package `node` is in our own node_modules, or beside us when it was hoisted. */
function runWithNewerNode() {
  const places = ['../node_modules/node/bin/node', '../../node/bin/node'];
  const node = places.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((file) => existsSync(file));
  if (node === undefined) {
    process.stderr.write(
      `bkp: Node ${oldest.major}.${oldest.minor} or newer is needed, this is ${process.versions.node}; ` +
        `get it from https://nodejs.org or with: npm install node@${oldest.major}\n`,
    );
    process.exitCode = 1;
    return;
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {stdio: 'inherit'});
  // The terminal sends its signals to both processes: the child handles them, and this process only outlives it.
  // Signals sent to this process alone are forwarded.
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
    // End with the same signal as the child, so that a shell sees it.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
