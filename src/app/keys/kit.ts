import {describeStore, type StoreAddress} from '../../config/index.ts';
import {shellQuoted} from '../../lib/text.ts';
import {kitTitle} from '../../lib/vault-secrets.ts';
import {fingerprintOf, type VaultKeys} from '../../vault/index.ts';

export type Kit = {
  store: StoreAddress;
  keys: Pick<VaultKeys, 'vault' | 'generation' | 'commitment'>;
  /** `BKP-KEY1-…` */
  code: string;
  /** ISO time. */
  made: string;
};

/**
 * A page that opens the vault on a machine that has nothing but the store. A file of it is a secret as any other: it
 * can be named by `BKP_PASSWORD_FILE`.
 */
export function kitText({store, keys, code, made}: Kit): string {
  const address = describeStore(store);
  const option =
    store.kind === 'directory' ? `--cluster ${shellQuoted(store.root)}` : `--store ${shellQuoted(address)}`;
  return [
    kitTitle,
    '',
    `Whoever has this page can read all backups of the vault. Keep it on paper, or`,
    `on a machine that does not hold the backups.`,
    '',
    `Made    ${made}`,
    `Vault   ${keys.vault}`,
    `Store   ${address}`,
    `Ring    ${fingerprintOf(keys)}, or a later one`,
    `Key     ${code}`,
    '',
    `To restore, put this page, or the key alone, into a file kit.txt:`,
    '',
    `  export BKP_PASSWORD_FILE=kit.txt`,
    `  bkp ${option} collection list`,
    `  bkp ${option} \\`,
    `    --source new.db sql --wait "RESTORE <collection>"`,
    '',
    `The key is not case-sensitive. Its last group shows typing errors.`,
    '',
  ].join('\n');
}
