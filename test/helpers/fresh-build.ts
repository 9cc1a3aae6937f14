import {readdirSync, statSync} from 'node:fs';
import {join} from 'node:path';

/** Made by the build itself. */
const generated = /[/\\]grammar\.(js|d\.ts)$/;

/**
 * @returns why tests that start bkp from `dist` would test other code than `src` holds; undefined: they would not
 */
export function whyStale(root: string): string | undefined {
  const built = statSync(join(root, 'dist/main.js'), {throwIfNoEntry: false});
  if (built === undefined) return 'dist/ is missing: run npm run build';
  const src = join(root, 'src');
  const newer = readdirSync(src, {recursive: true, encoding: 'utf8'})
    .map((file) => join(src, file))
    .filter((file) => !generated.test(file))
    .find((file) => {
      const facts = statSync(file);
      return facts.isFile() && facts.mtimeMs > built.mtimeMs;
    });
  return newer === undefined ? undefined : `dist/ is older than ${newer}: run npm run build`;
}
