import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {folder} from '../../sources/sqlite/database.ts';
import {cellsOf, DamagedFile, headerOf, makeDatabase, overflowAt, pageBytes, partsOf, type TreePages} from './pages.ts';
import {tryBackup} from './try.ts';

// A backup of a damaged database fails, and names the table and a page.

let dir: string;
let file: DamagedFile;
const trees: Record<string, TreePages> = {};
/** The table that each tree belongs to. */
const tableOf = {orders: 'orders', by_customer: 'orders', plain: 'plain', pairs: 'pairs'};
type Name = keyof typeof tableOf;
const names = Object.keys(tableOf) as Name[];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'bkp-damaged-'));
  makeDatabase(join(dir, 'good.db'));
  file = new DamagedFile(join(dir, 'good.db'));
  for (const name of names) trees[name] = file.tree(name);
});
afterAll(() => rmSync(dir, {recursive: true}));

/** A page in the middle, with cells enough to damage. */
function middle(pages: readonly number[]): number {
  const fit = pages.filter((page) => cellsOf(file.page(page)).length >= 4);
  return fit[fit.length >> 1]!;
}
const setCell = (bytes: Buffer, cell: number, to: number) => bytes.writeUInt16BE(to, headerOf(bytes) + 2 * cell);

/** A page of a tree, and what happens to it. */
type Damage = {page: number; change: (bytes: Buffer) => void};
type Kind = {what: string; trees?: readonly Name[]; damage: (tree: TreePages, name: Name) => Damage};

const inLeaf = (what: string, change: (bytes: Buffer) => void, only?: readonly Name[]): Kind => ({
  what,
  ...(only === undefined ? {} : {trees: only}),
  damage: ({leaves}) => ({page: middle(leaves), change}),
});
/** Not the root. */
const inInner = (what: string, change: (bytes: Buffer, tree: TreePages, name: Name) => void): Kind => ({
  what,
  damage: (tree, name) => ({page: middle(tree.inner.slice(1)), change: (bytes) => change(bytes, tree, name)}),
});
const inChain = (what: string, change: (bytes: Buffer, page: number, name: Name) => void): Kind => ({
  what,
  damage: ({overflow}, name) => ({page: overflow[0]!, change: (bytes) => change(bytes, overflow[0]!, name)}),
});

/** The cell of a leaf that refers to the tree's first chain. */
function spilling({leaves, overflow}: TreePages): {page: number; at: number} {
  for (const page of leaves) {
    const bytes = file.page(page);
    for (const cell of cellsOf(bytes)) {
      const at = overflowAt(bytes, cell);
      if (at !== undefined && overflow.includes(bytes.readUInt32BE(at))) return {page, at};
    }
  }
  throw new Error('no cell of a leaf has a chain');
}
const inSpilling = (what: string, change: (bytes: Buffer, at: number, name: Name) => void): Kind => ({
  what,
  damage: (tree, name) => {
    const {page, at} = spilling(tree);
    return {page, change: (bytes) => change(bytes, at, name)};
  },
});
/** A page of another table. */
const foreign = (name: Name, part: 'leaves' | 'overflow') => trees[name === 'plain' ? 'pairs' : 'plain']![part][1]!;
const freePage = () => file.page(1).readUInt32BE(32);

const kinds: Kind[] = [
  inLeaf('a leaf of zeros', (bytes) => bytes.fill(0)),
  inLeaf('a leaf of ones', (bytes) => bytes.fill(255)),
  inLeaf('a leaf with the type of another kind of tree', (bytes) => bytes.writeUInt8(bytes[0] === 13 ? 10 : 13, 0)),
  inLeaf('a leaf with the type of an inner page', (bytes) => bytes.writeUInt8(bytes[0] === 13 ? 5 : 2, 0)),
  inLeaf('a cell pointer beyond the page', (bytes) => setCell(bytes, 1, pageBytes)),
  inLeaf('a cell pointer into the header', (bytes) => setCell(bytes, 1, 4)),
  inLeaf('two pointers to one cell', (bytes) => setCell(bytes, 1, cellsOf(bytes)[2]!)),
  inLeaf('a pointer into a cell', (bytes) => setCell(bytes, 1, cellsOf(bytes)[1]! + 2)),
  inLeaf('a cell less', (bytes) => bytes.writeUInt16BE(cellsOf(bytes).length - 1, 3)),
  inLeaf('a cell more', (bytes) => bytes.writeUInt16BE(cellsOf(bytes).length + 1, 3)),
  inLeaf('content that begins elsewhere', (bytes) => bytes.writeUInt16BE(bytes.readUInt16BE(5) - 2, 5)),
  inLeaf('a payload that is one byte longer', (bytes) => bytes[partsOf(bytes, cellsOf(bytes)[1]!).length]!++),
  inLeaf('a payload of many bytes', (bytes) =>
    bytes.fill(255, partsOf(bytes, cellsOf(bytes)[1]!).length, cellsOf(bytes)[1]! + 5),
  ),
  inLeaf('a record whose header is one byte longer', (bytes) => bytes[partsOf(bytes, cellsOf(bytes)[1]!).payload]!++),
  inLeaf('a value of another type', (bytes) =>
    bytes.writeUInt8(5, partsOf(bytes, cellsOf(bytes)[1]!).payload + 1 + (bytes[0] === 13 ? 1 : 0)),
  ),
  inLeaf(
    'two cells in the wrong order',
    (bytes) => {
      const [, one, other] = cellsOf(bytes);
      setCell(bytes, 1, other!);
      setCell(bytes, 2, one!);
    },
    ['orders', 'plain'],
  ),
  inLeaf(
    'one rowid twice',
    (bytes) => {
      const [, one, other] = cellsOf(bytes).map((cell) => partsOf(bytes, cell));
      bytes.copy(bytes, other!.rowid, one!.rowid, one!.payload);
    },
    ['orders', 'plain'],
  ),
  {
    what: 'the content of another leaf of the tree',
    trees: ['orders', 'plain'],
    damage: ({leaves}) => ({page: leaves[3]!, change: (bytes) => file.page(leaves[5]!).copy(bytes)}),
  },
  {
    what: 'a list of free blocks that leaves the page',
    damage: ({leaves}) => {
      const page = leaves.find((leaf) => file.page(leaf).readUInt16BE(1) !== 0)!;
      return {page, change: (bytes) => bytes.writeUInt16BE(pageBytes - 1, bytes.readUInt16BE(1))};
    },
  },
  {
    what: 'a list of free blocks without its first one',
    damage: ({leaves}) => {
      const page = leaves.find((leaf) => file.page(leaf).readUInt16BE(1) !== 0)!;
      return {page, change: (bytes) => bytes.writeUInt16BE(bytes.readUInt16BE(bytes.readUInt16BE(1)), 1)};
    },
  },
  inInner('an inner page of zeros', (bytes) => bytes.fill(0)),
  inInner('an inner page with the type of another kind of tree', (bytes) =>
    bytes.writeUInt8(bytes[0] === 5 ? 2 : 5, 0),
  ),
  inInner('an inner page with the type of a leaf', (bytes) => bytes.writeUInt8(bytes[0] === 5 ? 13 : 10, 0)),
  inInner('child 0', (bytes) => bytes.writeUInt32BE(0, cellsOf(bytes)[1]!)),
  inInner('last child 0', (bytes) => bytes.writeUInt32BE(0, 8)),
  inInner('a child beyond the file', (bytes) => bytes.writeUInt32BE(file.pages + 1, cellsOf(bytes)[1]!)),
  inInner('the root as a child', (bytes, {root}) => bytes.writeUInt32BE(root, cellsOf(bytes)[1]!)),
  inInner('one child twice', (bytes) =>
    bytes.writeUInt32BE(bytes.readUInt32BE(cellsOf(bytes)[2]!), cellsOf(bytes)[1]!),
  ),
  inInner("a leaf of another table's tree", (bytes, _, name) =>
    bytes.writeUInt32BE(foreign(name, 'leaves'), cellsOf(bytes)[1]!),
  ),
  inInner('an overflow page as a child', (bytes, {overflow}) => bytes.writeUInt32BE(overflow[0]!, cellsOf(bytes)[1]!)),
  inInner('a free page as a child', (bytes) => bytes.writeUInt32BE(freePage(), cellsOf(bytes)[1]!)),
  inInner('an inner page that lacks a cell', (bytes) => bytes.writeUInt16BE(cellsOf(bytes).length - 1, 3)),
  inInner('a pointer beyond an inner page', (bytes) => setCell(bytes, 1, pageBytes + 5)),
  {
    what: 'rowids of an inner page in the wrong order',
    trees: ['orders', 'plain'],
    damage: ({inner}) => ({
      page: middle(inner.slice(1)),
      change: (bytes) => {
        const [, one, other] = cellsOf(bytes);
        setCell(bytes, 1, other!);
        setCell(bytes, 2, one!);
      },
    }),
  },
  {
    what: 'a separator with a longer payload',
    trees: ['by_customer', 'pairs'],
    damage: ({inner}) => ({
      page: middle(inner.slice(1)),
      change: (bytes) => bytes[partsOf(bytes, cellsOf(bytes)[1]!).length]!++,
    }),
  },
  inSpilling('a chain without a first page', (bytes, at) => bytes.writeUInt32BE(0, at)),
  inSpilling('a chain that begins beyond the file', (bytes, at) => bytes.writeUInt32BE(file.pages + 7, at)),
  inSpilling("a chain that begins with another table's leaf", (bytes, at, name) =>
    bytes.writeUInt32BE(foreign(name, 'leaves'), at),
  ),
  inSpilling("another table's chain", (bytes, at, name) => bytes.writeUInt32BE(foreign(name, 'overflow'), at)),
  inChain('a chain that ends too early', (bytes) => bytes.writeUInt32BE(0, 0)),
  inChain('a chain that refers to itself', (bytes, page) => bytes.writeUInt32BE(page, 0)),
  inChain("a chain that continues in another table's tree", (bytes, _, name) =>
    bytes.writeUInt32BE(foreign(name, 'leaves'), 0),
  ),
  inChain('a chain that continues beyond the file', (bytes) => bytes.writeUInt32BE(file.pages + 1, 0)),
  {
    what: 'a chain that does not end',
    damage: ({overflow}) => {
      const last = overflow.find((page) => file.page(page).readUInt32BE(0) === 0)!;
      return {page: last, change: (bytes) => bytes.writeUInt32BE(freePage(), 0)};
    },
  },
];

test('the undamaged database is backed up', async () => {
  expect((await tryBackup(file.path)).error).toBeUndefined();
  for (const name of names) {
    expect(trees[name]!.inner.length, name).toBeGreaterThan(2);
    expect(trees[name]!.overflow.length, name).toBeGreaterThan(1);
  }
});

describe.each(names)('in the tree of %s', (name) => {
  test.each(kinds.filter((kind) => kind.trees?.includes(name) ?? true))('$what is found', async ({damage}) => {
    const path = join(folder(), 'damaged.db');
    const {page, change} = damage(trees[name]!, name);
    file.damage(path, page, change);
    const {error} = await tryBackup(path);
    expect(error).toMatchObject({code: 'SOURCE_DAMAGED', next: expect.stringContaining('integrity_check')});
    expect(error!.message).toContain(`table ${tableOf[name]} `);
    // Of two references to one page, the second one that is read is reported.
    expect(error!.message).toMatch(/: page \d+ /);
  });
});
