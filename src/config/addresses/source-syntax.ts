import {BkpError} from '../../errors/index.ts';

/**
 * How the address of one database product is written after `<scheme>::`. Its functions are methods, so that the
 * syntax of one product is a `SourceSyntax<SourceAddress>`.
 */
export type SourceSyntax<Address> = {
  /** For messages that begin with `write` or `accepted:`. */
  example: string;
  /** The keys of `key=value`. */
  keys: readonly string[];
  /** @throws BkpError `USAGE` */
  fromSettings(values: ReadonlyMap<string, string>, cwd: string): Address;
  /**
   * Reads `<scheme>:<rest>`. Absent: the product has no such URLs.
   * @throws BkpError `USAGE`
   */
  fromUrl?(url: {scheme: string; rest: string}, cwd: string): Address;
  /** The address as text, which reads back as the same address. */
  describe(address: Address): string;
};

export function sourceFault(message: string, next: string): BkpError {
  return new BkpError('USAGE', `source: ${message}`, {next});
}
