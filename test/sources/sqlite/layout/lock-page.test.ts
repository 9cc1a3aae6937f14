import {test} from 'vitest';
import {layOutAround} from './around-lock-page.ts';

test.each([
  {pageSize: 4096, autoVacuum: 0},
  {pageSize: 4096, autoVacuum: 2, reserved: 8},
  {pageSize: 65536, autoVacuum: 0},
  {pageSize: 32768, autoVacuum: 1},
])('the page with the bytes that SQLite locks stays empty ($pageSize bytes, auto_vacuum $autoVacuum)', async (file) => {
  await layOutAround(file, 8);
});
