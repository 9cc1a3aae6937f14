import {cpSync, readFileSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {openDesk} from '../helpers/desk.ts';
import {runTyped} from '../helpers/typed.ts';

const manual = readFileSync(join(import.meta.dirname, '../../docs/encryption.md'), 'utf8');

/** The blocks of commands in the section about recovery. */
const [makeKit, restore] = [...manual.matchAll(/^## Recovery\n[\s\S]*?(?=^## )/gm)]
  .flatMap(([section]) => [...section.matchAll(/^```sh\n([\s\S]*?)^```/gm)])
  .map(([, block]) => block!);

test('what the manual types restores with nothing but the kit and a copy of the store', async () => {
  const desk = openDesk(
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, v); INSERT INTO orders VALUES (1, 'a'), (2, 'b')",
    {
      BKP_PASSWORD: 'soon forgotten',
    },
  );
  await desk.sql("CREATE BACKUP COLLECTION shop (TABLE orders) WITH (STORAGE='cluster')");
  await desk.sqlWait('BACKUP shop');
  await runTyped(makeKit!, {
    cwd: desk.folder,
    home: desk.home,
    env: {BKP_CLUSTER: desk.cluster, BKP_PASSWORD: 'soon forgotten'},
  });
  cpSync(desk.cluster, join(desk.folder, 'copy'), {recursive: true});
  for (const lost of [desk.home, desk.cluster, desk.database]) rmSync(lost, {recursive: true});

  await runTyped(restore!, {cwd: desk.folder, home: join(desk.folder, 'new-home')});
  expect(desk.all('SELECT * FROM orders', join(desk.folder, 'restored.db'))).toEqual([
    {id: 1, v: 'a'},
    {id: 2, v: 'b'},
  ]);
});
