import type {ConnectionOptions} from 'node:tls';
import {BkpError, systemCode} from '../../../errors/index.ts';

export type TlsFiles = {
  /** PEM text, or the certificates that Node trusts. */
  rootCertificates: string | undefined;
  certificate: string | undefined;
  key: string | undefined;
  /** Of the key. */
  passphrase: string | undefined;
  /** Lists of revoked certificates. */
  revoked: readonly string[];
};

/** Absent: what Node accepts, which is from TLS 1.2 on, as libpq has it. */
export type TlsVersions = Pick<ConnectionOptions, 'minVersion' | 'maxVersion'>;

/** libpq's modes. Source: https://www.postgresql.org/docs/18/libpq-ssl.html#LIBPQ-SSL-PROTECTION */
export type TlsMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/**
 * What the word means, with libpq's two exceptions: with root certificates, `require` verifies them; with those of
 * the system, only `verify-full` is allowed, and is the default.
 * @throws BkpError `USAGE`
 */
export function tlsMode(word: string | undefined, roots: string | undefined): TlsMode {
  if (roots === 'system') {
    if (word === undefined || word === 'verify-full') return 'verify-full';
    throw new BkpError('USAGE', `source: sslmode=${word} does not verify the host, and sslrootcert is system`, {
      next: 'write sslmode=verify-full: any certificate of a public authority would pass otherwise',
    });
  }
  const mode = (word ?? 'prefer') as TlsMode;
  if (mode === 'require' && roots !== undefined) return 'verify-ca';
  if ((mode === 'verify-ca' || mode === 'verify-full') && roots === undefined) {
    throw new BkpError('USAGE', `source: sslmode=${mode} needs root certificates, and there are none`, {
      next: 'write sslrootcert=FILE, or sslrootcert=system for a certificate of a public authority',
    });
  }
  return mode;
}

/** The ways to try a connection, in order. Undefined: without TLS. */
export function tlsAttempts(
  mode: TlsMode,
  files: TlsFiles,
  host: string,
  versions: TlsVersions = {},
): readonly (ConnectionOptions | undefined)[] {
  // A socket of the machine is never encrypted.
  if (host.startsWith('/') || mode === 'disable') return [undefined];
  const tls = {...tlsOptions(mode, files), ...versions};
  if (mode === 'allow') return [undefined, tls];
  return mode === 'prefer' ? [tls, undefined] : [tls];
}

function tlsOptions(
  mode: TlsMode,
  {rootCertificates, certificate, key, passphrase, revoked}: TlsFiles,
): ConnectionOptions {
  // libpq verifies in every mode whose root certificates exist, and with `prefer` continues without TLS.
  const verifies = rootCertificates !== undefined;
  return {
    rejectUnauthorized: verifies,
    // The name is checked by verify-full alone.
    ...(mode === 'verify-full' ? {} : {checkServerIdentity: () => undefined}),
    ...(verifies && rootCertificates !== 'system' ? {ca: rootCertificates} : {}),
    ...(certificate === undefined || key === undefined ? {} : {cert: certificate, key}),
    ...(passphrase === undefined ? {} : {passphrase}),
    ...(verifies && revoked.length > 0 ? {crl: [...revoked]} : {}),
  };
}

/** The certificates or the forms of TLS do not fit, on this side or on the server's. */
export function isTlsFault(error: unknown): boolean {
  return tlsCodes.test(systemCode(error) ?? '');
}

/** Of OpenSSL's verification, as Node names them, and of TLS itself. */
const tlsCodes = new RegExp(
  '^(?:ERR_SSL_|ERR_TLS_|ERR_OSSL_|EPROTO$|CERT_|CRL_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|ERROR_IN_C|INVALID_CA$|' +
    'INVALID_PURPOSE$|PATH_LENGTH_|HOSTNAME_MISMATCH$)',
  'u',
);

/** What helps against a fault of TLS. */
export function tlsStep(error: unknown): string {
  const code = systemCode(error) ?? '';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') {
    return "give the server's name as its certificate has it, with hostaddr=ADDRESS if that name is not in the DNS";
  }
  if (/EXPIRED|NOT_YET/u.test(code)) return "renew the server's certificate, or its revocation list; or set the clock";
  if (/^(?:SELF_SIGNED|DEPTH_ZERO|UNABLE_TO)/u.test(code)) {
    return "name the certificate of the server's authority: sslrootcert=FILE";
  }
  return 'check sslrootcert, sslcert, sslkey and sslcrl, and the log of the server';
}
