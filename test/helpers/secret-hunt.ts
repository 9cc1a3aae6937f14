import {readdirSync, readFileSync} from 'node:fs';
import {join, relative} from 'node:path';

/**
 * Files below `folder` that contain the secret in any usable form.
 * @param options.except names of files that may contain it: the configuration, if the secret was set there
 */
export function filesWithSecret(
  folder: string,
  secret: string,
  {except = []}: {except?: readonly string[]} = {},
): string[] {
  return readdirSync(folder, {recursive: true, withFileTypes: true})
    .filter((entry) => entry.isFile() && !except.includes(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => holdsSecret(readFileSync(file), secret))
    .map((file) => relative(folder, file));
}

/** Verbatim, or as Base64, whose first and last characters depend on the adjacent bytes. */
export function holdsSecret(bytes: Uint8Array | string, secret: string): boolean {
  const text = Buffer.from(bytes).toString('latin1');
  const shifted = [0, 1, 2].map((before) => {
    const encoded = Buffer.from(' '.repeat(before) + secret).toString('base64');
    return encoded.slice(4, -4);
  });
  return [secret, encodeURIComponent(secret), ...shifted].some((form) => text.includes(form));
}
