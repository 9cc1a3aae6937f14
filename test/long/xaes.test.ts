import {createHash} from 'node:crypto';
import {expect, test} from 'vitest';
import {Xaes} from '../../src/vault/crypto/xaes.ts';

// https://github.com/C2SP/C2SP/blob/main/XAES-256-GCM.md, Accumulated Randomized Tests
test('XAES-256-GCM gives the published hash of ten thousand random messages', () => {
  const stream = shake128Stream();
  const results = createHash('shake128', {outputLength: 32});
  for (let iteration = 0; iteration < 10_000; iteration++) {
    const key = stream(32);
    const nonce = stream(24);
    const plain = stream(stream(1)[0]!);
    const aad = stream(stream(1)[0]!);
    const aead = new Xaes(key);
    const sealed = Buffer.concat(aead.seal(nonce, plain, aad));
    const opened = aead.open(nonce, sealed, aad);
    if (opened === undefined || !opened.equals(plain)) throw new Error(`iteration ${iteration} does not open`);
    results.update(sealed);
  }
  expect(results.digest('hex')).toBe('e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939');
});

/** SHAKE128 of nothing, as one long stream. */
function shake128Stream(): (sizeBytes: number) => Buffer {
  const bytes = createHash('shake128', {outputLength: 8 * 1024 * 1024}).digest();
  let at = 0;
  return (sizeBytes) => {
    at += sizeBytes;
    return bytes.subarray(at - sizeBytes, at);
  };
}
