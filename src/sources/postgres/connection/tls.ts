import type {ConnectionOptions} from 'node:tls';
import {BkpError} from '../../../errors/index.ts';

export type TlsFiles = {
  /** PEM text, or the certificates that Node trusts. */
  rootCertificates: string | undefined;
  certificate: string | undefined;
  key: string | undefined;
  revoked: string | undefined;
};

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
export function tlsAttempts(mode: TlsMode, files: TlsFiles, host: string): readonly (ConnectionOptions | undefined)[] {
  // A socket of the machine is never encrypted.
  if (host.startsWith('/') || mode === 'disable') return [undefined];
  const tls = tlsOptions(mode, files);
  if (mode === 'allow') return [undefined, tls];
  return mode === 'prefer' ? [tls, undefined] : [tls];
}

function tlsOptions(mode: TlsMode, {rootCertificates, certificate, key, revoked}: TlsFiles): ConnectionOptions {
  const verifies = mode === 'verify-ca' || mode === 'verify-full';
  return {
    rejectUnauthorized: verifies,
    // The name is checked by verify-full alone.
    ...(mode === 'verify-full' ? {} : {checkServerIdentity: () => undefined}),
    ...(verifies && rootCertificates !== 'system' ? {ca: rootCertificates} : {}),
    ...(certificate === undefined || key === undefined ? {} : {cert: certificate, key}),
    ...(verifies && revoked !== undefined ? {crl: revoked} : {}),
  };
}
