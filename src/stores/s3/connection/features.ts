import type {Failure} from './failure.ts';

/**
 * Features of S3 that bkp uses if the server has them and can do without otherwise: most servers that speak S3 lack
 * some. The values are the words of `store check` and the logs.
 */
export const features = {
  /** For puts. Without it bkp checks whether the object exists first. */
  conditions: 'conditional put (If-None-Match)',
  /**
   * Stored with an object; the server compares it, and bkp does when it reads. Without it the hashes of the content
   * remain.
   */
  checksums: 'checksums (x-amz-checksum)',
  /** Without it each object is removed with its own request. */
  multiDelete: 'removal of many objects in one request (DeleteObjects)',
  /** Without it the whole object is fetched. */
  ranges: 'ranged reads',
  /** Ensures that a resumed read is of the same object. Without it bkp compares the ETag of the response. */
  ifMatch: 'conditional reads (If-Match)',
  /** For names in a listing that XML cannot contain. Only foreign objects have such names. */
  urlEncoding: 'listings with encoded names (encoding-type)',
  /** Version 2 of listings. Without it version 1 is used. */
  listV2: 'ListObjectsV2',
} as const;

export type Feature = keyof typeof features;

/** The words that servers use for a feature when they refuse it. */
const wordsOf: Record<Feature, RegExp> = {
  conditions: /if-none-match|precondition|conditional/i,
  checksums: /checksum|trailer|aws-chunked|content-md5/i,
  multiDelete: /delete|content-md5/i,
  ranges: /range/i,
  ifMatch: /if-match|precondition|conditional/i,
  urlEncoding: /encoding-?type/i,
  listV2: /list-?type|listobjectsv2/i,
};

/**
 * Sets of features to leave out of a refused request, to be tried in turn: first those that the server names, then
 * each alone, then all.
 */
export function withoutWhich(used: readonly Feature[], {name, message}: Failure): readonly (readonly Feature[])[] {
  if (used.length === 0) return [];
  const text = `${name} ${message}`;
  const named = used.filter((feature) => wordsOf[feature].test(text));
  const others = used.filter((feature) => !named.includes(feature));
  const single = [...named, ...others].map((feature) => [feature]);
  return used.length === 1 ? single : [...single, [...used]];
}
