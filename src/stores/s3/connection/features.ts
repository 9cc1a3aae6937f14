import type {Failure} from './failure.ts';

/**
 * What bkp uses of S3 where a server has it, and does without where it has not: most servers that speak S3 lack something.
 * By the words that `store check` and the logs use for it.
 */
export const features = {
  /** Of a put. Without it bkp looks first. */
  conditions: 'conditional put (If-None-Match)',
  /** Stored with an object, and compared by the server and when it is read. Without it the hashes of the content remain. */
  checksums: 'checksums (x-amz-checksum)',
  /** Without it each object is removed by a request of its own. */
  multiDelete: 'removal of many objects at once (DeleteObjects)',
  /** Without it the whole object is fetched. */
  ranges: 'ranged reads',
  /** That what is read on is of the same object. Without it the ETag of the answer tells. */
  ifMatch: 'conditional reads (If-Match)',
  /** Names in a listing that XML cannot hold. Without it only foreign objects have such names. */
  urlEncoding: 'listings with encoded names (encoding-type)',
  /** The second form of listings. Without it the first is used. */
  listV2: 'ListObjectsV2',
} as const;

export type Feature = keyof typeof features;

/** How servers name in a refusal what they refuse. */
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
 * Which of the features that a refused request used it is worth trying without, one set after the other: what the server
 * names, then each alone, then all.
 */
export function withoutWhich(used: readonly Feature[], {name, message}: Failure): readonly (readonly Feature[])[] {
  if (used.length === 0) return [];
  const text = `${name} ${message}`;
  const named = used.filter((feature) => wordsOf[feature].test(text));
  const others = used.filter((feature) => !named.includes(feature));
  const single = [...named, ...others].map((feature) => [feature]);
  return used.length === 1 ? single : [...single, [...used]];
}
