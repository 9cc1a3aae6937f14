// Rewrites man/: npm run man
import {mkdirSync, rmSync, writeFileSync} from 'node:fs';
import {manPages} from './man-pages.js';

const folder = new URL('../man/', import.meta.url);
rmSync(folder, {recursive: true, force: true});
mkdirSync(folder);
for (const [name, page] of await manPages()) writeFileSync(new URL(name, folder), page);
