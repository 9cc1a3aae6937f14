import type {EventEmitter} from 'node:events';
import type {Client} from 'pg';
import {BkpError} from '../../../errors/index.ts';
import {streamOf} from './connection.ts';

const bound = 'SCRAM-SHA-256-PLUS';

/**
 * libpq's channel_binding=require: the connection ends before a password is sent, unless the server proves in SCRAM
 * that it knows the password and that the TLS connection ends at it. pg itself binds only if it is offered.
 * @param client not yet connected
 */
export function requireBinding(client: Client, {isEncrypted}: {isEncrypted: boolean}): void {
  const {connection} = client as unknown as {connection: EventEmitter};
  let isProved = false;
  const refuse = () => {
    if (isProved) return;
    connection.emit(
      'error',
      new BkpError('PRECONDITION', 'the source requires channel binding, and the server did not bind the connection', {
        cause: 'it needs TLS, and a password that the server stores for scram-sha-256',
        next: 'write sslmode=require or stricter, and let the server use scram-sha-256; or leave channel_binding out',
      }),
    );
    streamOf(client).destroy();
  };
  connection.on('authenticationCleartextPassword', refuse);
  connection.on('authenticationMD5Password', refuse);
  connection.on('authenticationSASL', ({mechanisms}: {mechanisms: readonly string[]}) => {
    // Without TLS pg would not bind, whatever is offered.
    if (!isEncrypted || !mechanisms.includes(bound)) refuse();
  });
  connection.on('authenticationSASLFinal', () => {
    isProved = true;
  });
  connection.on('authenticationOk', refuse);
}
