import {readdirSync} from 'node:fs';
import {expect, test} from 'vitest';
import {runBkp, temporaryHome} from '../helpers/bkp.ts';

// The demo is the first that a new user sees: what it prints must be true, and its end must leave nothing.

test('the demo loses rows and tables, brings all of them back, and leaves nothing', {timeout: 120_000}, async () => {
  const {home, remove} = temporaryHome();
  try {
    const {status, stdout, stderr} = await runBkp(['demo', '--customers', '50'], {home, env: {TMPDIR: home}});
    expect({status, stderr}).toEqual({status: 0, stderr: ''});
    const count = (pattern: RegExp) => [...stdout.matchAll(pattern)].length;
    expect(count(/^✓ every row .* equals the one backed up: [\d,]+ rows, fingerprint \w+, integrity_check ok$/gm)).toBe(
      3,
    );
    // Three backups, three restores, a verification and a drill: after `--wait`, or in the list at the end.
    const [, list] = stdout.split('$ bkp operation list\n');
    const ids = [...list!.matchAll(/^│ (\w+\/\d+) +│ true +│ (\w+) /gm)].map(([, id, outcome]) => `${id} ${outcome}`);
    expect(ids).toEqual(
      ['verify/7', 'verify/6', 'incbackup/5', 'restore/4', 'restore/3', 'incbackup/2', 'fullbackup/1'].map(
        (id) => `${id} SUCCESS`,
      ),
    );
    expect(stdout).toMatch(/^\d{4}-\S+ restore\/1 SUCCESS, shop\/\d{14}Z_full, /m);
    // The diff names the table whose prices were lost, and no other; the SELECT finds a price.
    const lost = /^table +added +changed +deleted\n(?:(\w+) +0 +(\d+) +0\n)+4 tables compared: 1 differs$/m.exec(
      stdout,
    );
    expect(lost?.[1]).toBe('products');
    expect(stdout).toContain(`products: ${lost?.[2]} updated`);
    expect(Number(/^sku +price_cents\nka-\d+ +(\d+)$/m.exec(stdout)?.[1])).toBeGreaterThan(0);
    expect(stdout).not.toMatch(/undefined|NaN|\[object/);
    expect(readdirSync(home).filter((name) => name.startsWith('bkp-demo-'))).toEqual([]);
  } finally {
    remove();
  }
});
