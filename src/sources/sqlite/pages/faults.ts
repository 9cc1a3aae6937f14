/** What is wrong with a page by the number that the WebAssembly reports (assembly/pages/outcome.ts). */
const texts: readonly string[] = [
  '',
  'is not a leaf of a table',
  'is not a leaf of an index or of a table without rowid',
  'is not an inner page of an index or of a table without rowid',
  'has a header that contradicts its size',
  'has a damaged list of free blocks',
  'has a pointer to a cell outside its content',
  'has a cell that continues beyond its end',
  'has cells that overlap',
  'has cells and free blocks that do not add up to its size',
  'has rowids that do not ascend',
  'has a rowid that belongs to another page',
  'has a record that is larger than the database',
  'has a record whose values do not add up to its size',
];

export const faultText = (fault: number): string => texts[fault] ?? `is damaged (${fault})`;
