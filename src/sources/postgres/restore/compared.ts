import {columnList, comparable} from '../catalog/columns.ts';
import {quoteIdent} from '../connection/quote.ts';
import type {MergedPair} from './merge-fit.ts';

// Conditions that compare living rows `t` with staged rows `s`.

const rowOf = ({columns}: MergedPair, of: string) => `row(${columnList(columns, `${of}.`)})`;

export const isSame = ({key}: MergedPair, of = 't') =>
  key
    .map((part) => {
      const [own, other] = [of, 's'].map((row) => comparable(`${row}.${quoteIdent(part.name)}`, part));
      return `${own} ${part.equals} ${other}`;
    })
    .join(' AND ');

/** A row without a key is another one than every row of the backup. @param of the alias of the living table */
export const isGone = (pair: MergedPair, of = 't') =>
  pair.key.length === 0 ? 'true' : `NOT EXISTS (SELECT FROM ${pair.staged} s WHERE ${isSame(pair, of)})`;

export const isNew = (pair: MergedPair) =>
  pair.key.length === 0 ? 'true' : `NOT EXISTS (SELECT FROM ${pair.living} t WHERE ${isSame(pair)})`;

/** By image: `1.0` and `1.00` are equal and not the same. */
export const isOther = (pair: MergedPair) =>
  pair.key.length === 0 ? 'false' : `pg_catalog.record_image_ne(${rowOf(pair, 't')}, ${rowOf(pair, 's')})`;
