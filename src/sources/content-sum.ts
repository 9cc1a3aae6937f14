/** Sums of the two halves of the rows' hashes, each modulo 2^64: they do not depend on the order of the rows. */
export type ContentSum = {low: bigint; high: bigint};

export const noRows: ContentSum = {low: 0n, high: 0n};

export const sumOf = (one: ContentSum, other: ContentSum): ContentSum => ({
  low: BigInt.asUintN(64, one.low + other.low),
  high: BigInt.asUintN(64, one.high + other.high),
});

export const lessOf = (one: ContentSum, other: ContentSum): ContentSum => ({
  low: BigInt.asUintN(64, one.low - other.low),
  high: BigInt.asUintN(64, one.high - other.high),
});

/** As manifests have it: 32 hexadecimal digits. */
export const hashText = ({low, high}: ContentSum): string => digits(high) + digits(low);

/** What {@link hashText} wrote. */
export const sumOfText = (text: string): ContentSum => ({
  high: BigInt(`0x${text.slice(0, 16)}`),
  low: BigInt(`0x${text.slice(16)}`),
});

const digits = (value: bigint) => value.toString(16).padStart(16, '0');
