import {expect, test} from 'vitest';
import {noPageVisited, VisitedPages} from '../../../../src/sources/sqlite/pages/visited-pages.ts';

const of = (pages: number, pageBytes = 4096) => {
  const visited = noPageVisited(pages);
  return {first: new VisitedPages({visited, pages, pageBytes}), other: new VisitedPages({visited, pages, pageBytes})};
};

test('each page from the second to the last can be visited once, also in different threads', () => {
  const {first, other} = of(64);
  for (let page = 2; page <= 64; page++) (page % 3 === 0 ? first : other).visit(page, 1);
  for (let page = 2; page <= 64; page++) {
    expect(() => first.visit(page, 9)).toThrow(`page ${page} is referred to twice, the second time by page 9`);
  }
});

test.each([0, 1, 65, 0xffffffff])('page %i of 64 cannot be part of a tree', (page) => {
  expect(() => of(64).first.visit(page, 9)).toThrow(`page 9 refers to page ${page}, which does not exist`);
});

test.each([
  [512, 0x200001],
  [65536, 0x4001],
])('with pages of %i bytes, page %i is never part of a tree', (pageBytes, page) => {
  const {first} = of(page + 1, pageBytes);
  first.visit(page - 1, 9);
  first.visit(page + 1, 9);
  expect(() => first.visit(page, 9)).toThrow(`page 9 refers to page ${page}, which SQLite never uses`);
});
