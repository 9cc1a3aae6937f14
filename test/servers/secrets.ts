import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {inspect} from 'node:util';
import {GetObjectCommand, ListObjectsV2Command} from '@aws-sdk/client-s3';
import {expect} from 'vitest';
import type {S3Server} from './s3-server.ts';

/** Everything in a value at any depth: causes, stacks, hidden and inherited fields. */
export const everythingIn = (value: unknown): string =>
  inspect(value, {depth: null, showHidden: true, maxArrayLength: null, maxStringLength: null, getters: true});

/** Every object of the bucket, by key. */
export async function objectsOf({client}: S3Server, bucket: string): Promise<Map<string, Buffer>> {
  const objects = new Map<string, Buffer>();
  const {Contents = [], IsTruncated} = await client.send(new ListObjectsV2Command({Bucket: bucket}));
  expect(IsTruncated).not.toBe(true);
  for (const {Key = ''} of Contents) {
    const {Body} = await client.send(new GetObjectCommand({Bucket: bucket, Key}));
    objects.set(Key, Buffer.from(await Body!.transformToByteArray()));
  }
  return objects;
}

/** The places that contain a secret, in plain text or in base64. */
export function leaksIn(secrets: readonly string[], places: Iterable<[string, Buffer]>): string[] {
  const forms = secrets.flatMap((secret) => [secret, Buffer.from(secret).toString('base64').replace(/=+$/, '')]);
  return [...places].filter(([, bytes]) => forms.some((form) => bytes.includes(form))).map(([name]) => name);
}

/** All files below the folder, with their bytes. */
export function filesIn(folder: string): [string, Buffer][] {
  return readdirSync(folder, {recursive: true, withFileTypes: true})
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => [file, readFileSync(file)]);
}

/**
 * Reads the command lines of all processes repeatedly until `stop`, as every user of a machine can.
 * @param home counts only the workers of this home, because tests run concurrently
 */
export function watchCommandLines(
  secrets: readonly string[],
  home: string,
): {stop: () => {leaks: string[]; workersSeen: number}} {
  const leaks = new Set<string>();
  const workers = new Set<string>();
  const look = () => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`);
        if (leaksIn(secrets, [[pid, line]]).length > 0) leaks.add(line.toString());
        if (!/bkp\.js.*worker/s.test(line.toString())) continue;
        if (readFileSync(`/proc/${pid}/environ`).includes(`BKP_HOME=${home}\0`)) workers.add(pid);
      } catch {
        // The process has ended.
      }
    }
  };
  const timer = setInterval(look, 25);
  return {
    stop: () => {
      clearInterval(timer);
      return {leaks: [...leaks], workersSeen: workers.size};
    },
  };
}
