import type {BaseCuts, KeyCondition} from '../../scratch.ts';
import {readCuts} from '../segments/ranges.ts';
import type {ScratchTable} from './stored-table.ts';
import {isInteger} from './values.ts';

/** The ranges of a base by the first part of its key. `upTo`: absent in the last range. */
type Range = {after: bigint | undefined; upTo: bigint | undefined; from: number; to: number};

/** @returns undefined unless the base is cut by a key that begins with an integer */
export function integerRanges(table: ScratchTable, {cuts: text, segments}: BaseCuts): readonly Range[] | undefined {
  const cuts = readCuts(text);
  const [first] = table.columns;
  if (cuts?.by !== 'key' || first === undefined || table.keyParts === 0 || !isInteger(first)) return undefined;
  const ends = cuts.ranges.map(({upTo}) => {
    const end = upTo?.[0] === undefined ? undefined : Buffer.from(upTo[0], 'hex').toString();
    return end !== undefined && /^-?\d+$/u.test(end) ? BigInt(end) : undefined;
  });
  const ascend = cuts.ranges.every(({segment}, at) => segment <= (cuts.ranges[at + 1]?.segment ?? segments));
  const areKnown = ends.slice(0, -1).every((end, at) => end !== undefined && (at === 0 || ends[at - 1]! <= end));
  if (!ascend || !areKnown || cuts.ranges[0]!.segment !== 0) return undefined;
  return cuts.ranges.map(({segment}, at) => ({
    after: at === 0 ? undefined : ends[at - 1],
    // Rows that came later belong to the last range.
    upTo: at === cuts.ranges.length - 1 ? undefined : ends[at],
    from: segment,
    to: cuts.ranges[at + 1]?.segment ?? segments,
  }));
}

/** The segments that can hold a row for which all conditions hold. A range may begin with the last value of another. */
export function segmentsWhere(
  table: ScratchTable,
  ranges: readonly Range[],
  conditions: readonly KeyCondition[],
): readonly number[] | undefined {
  const name = table.columns[0]!.name.toLowerCase();
  const usable = conditions.filter(
    ({column, values}) => column.toLowerCase() === name && values.every(({kind}) => kind === 'integer'),
  );
  if (usable.length === 0) return undefined;
  return segmentsOf(
    ranges.filter(({after, upTo}) =>
      usable.every(({operator, values}) =>
        values.some(({value}) => {
          const wanted = value as bigint;
          const isFrom =
            after === undefined || (operator === '=' || operator === '<=' ? after <= wanted : after < wanted);
          const isTo = upTo === undefined || (operator === '>' ? upTo > wanted : upTo >= wanted);
          if (operator === '=') return isFrom && isTo;
          return operator === '<' || operator === '<=' ? isFrom : isTo;
        }),
      ),
    ),
  );
}

/** The segments that can hold rows with one of these first parts of keys. */
export function segmentsWith(ranges: readonly Range[], keys: readonly bigint[]): readonly number[] {
  return segmentsOf(
    ranges.filter(({after, upTo}) =>
      keys.some((key) => (after === undefined || after <= key) && (upTo === undefined || key <= upTo)),
    ),
  );
}

const segmentsOf = (ranges: readonly Range[]): readonly number[] =>
  ranges.flatMap(({from, to}) => Array.from({length: to - from}, (_, at) => from + at));
