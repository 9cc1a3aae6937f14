import {BkpError} from '../../errors/index.ts';
import type {KeyKeeper, SlotName, Wrapped} from '../../vault/index.ts';
import {kmsError, kmsNameOf} from './kms-error.ts';
import {optionalPackage} from './optional-package.ts';

// Slots that a key of AWS KMS opens: the slot holds its own key as KMS encrypted it. Region, endpoint and credentials
// are those that the SDK finds: AWS_REGION, AWS_ENDPOINT_URL_KMS, AWS_PROFILE, the role of the machine.

/** What bkp uses of the package, which need not be installed where bkp is compiled. */
type Kms = {
  encrypt(input: Input & {Plaintext: Uint8Array}): Promise<{CiphertextBlob?: Uint8Array; KeyId?: string}>;
  decrypt(input: Input & {CiphertextBlob: Uint8Array}): Promise<{Plaintext?: Uint8Array}>;
  destroy(): void;
};
type Input = {KeyId: string; EncryptionContext: Record<string, string>};
type KmsPackage = {KMS: new (config: object) => Kms};

const loadKms = (): Promise<KmsPackage> =>
  optionalPackage('@aws-sdk/client-kms', 'a slot for AWS KMS', () => import('@aws-sdk/client-kms' as string));

/** The SDK alone would wait minutes for a host that does not answer. */
const requestHandler = {connectionTimeout: 5000, requestTimeout: 20_000, throwOnRequestTimeout: true};

/** For the SDK's own chain of credentials: a scheduler must see that ~/.aws/credentials has new ones. */
const readsAgain = {ignoreCache: true};

const arnForm = /^arn:[a-z-]+:kms:([a-z0-9-]+):\d{12}:(?:key|alias)\/[\w/-]+$/;
const nameForm = /^(?:alias\/[\w/-]+|[0-9a-f-]{36}|mrk-[0-9a-f]{32})$/;

/**
 * What opens the slots of a KMS key, and makes a slot for it.
 * @param key its ARN, alias or id
 * @throws BkpError `USAGE` if it is none of these
 */
export async function kmsKey(key: string): Promise<KeyKeeper> {
  const region = arnForm.exec(key)?.[1];
  if (region === undefined && !nameForm.test(key)) throw notAKey(key);
  const {KMS} = await loadKms();
  const ask = async <T>(call: 'Encrypt' | 'Decrypt', use: (kms: Kms) => Promise<T>): Promise<T> => {
    const kms = new KMS({requestHandler, ...readsAgain, ...(region === undefined ? {} : {region})});
    try {
      return await use(kms);
    } catch (error) {
      throw kmsError(error, {key, call});
    } finally {
      kms.destroy();
    }
  };
  const unwrap = async ({key: ofSlot, ciphertext}: Wrapped, slot: SlotName): Promise<string | undefined> => {
    if (ofSlot === undefined || ciphertext === undefined || !mayBeSame(key, ofSlot)) return undefined;
    // That the key is named keeps KMS from using another one, which whoever made the slot may have chosen.
    const input = {KeyId: key, CiphertextBlob: Buffer.from(ciphertext, 'base64'), EncryptionContext: contextOf(slot)};
    try {
      const {Plaintext} = await ask('Decrypt', (kms) => kms.decrypt(input));
      return Buffer.from(Plaintext ?? []).toString();
    } catch (error) {
      const name = kmsNameOf(error);
      if (name === 'IncorrectKeyException') return undefined;
      // Changed, or encrypted for another slot: what is not a key is reported as damage.
      if (name === 'InvalidCiphertextException') return '';
      throw error;
    }
  };
  const wrap = async (code: string, slot: SlotName): Promise<Wrapped> => {
    const input = {KeyId: key, Plaintext: Buffer.from(code), EncryptionContext: contextOf(slot)};
    const {CiphertextBlob, KeyId} = await ask('Encrypt', (kms) => kms.encrypt(input));
    const wrapped = {key: KeyId ?? key, ciphertext: Buffer.from(CiphertextBlob ?? []).toString('base64')};
    // A slot that opens for nobody would be noticed when it is the only one left.
    if ((await unwrap(wrapped, slot)) !== code) throw notOpened(key);
    return wrapped;
  };
  return {kind: 'kms', wrap, unwrap};
}

/** Names are logged by AWS in clear, so there are none. The reader prints these two for `aws kms decrypt`. */
const contextOf = ({vault, id}: SlotName) => ({'bkp-vault': vault, 'bkp-slot': id});

/** An alias may stand for every key. A multi-region key has the same id in each region. */
function mayBeSame(key: string, ofSlot: string): boolean {
  if (key.includes('alias/')) return true;
  const idIn = (name: string) => name.slice(name.lastIndexOf('/') + 1);
  const id = idIn(key);
  return key === ofSlot || (id === idIn(ofSlot) && (id.startsWith('mrk-') || !key.startsWith('arn:')));
}

/** How a slot is called that was not given a name. */
export function kmsLabel(key: string): string {
  const [, name = key] = /:((?:key|alias)\/.*)$/.exec(key) ?? [];
  return name;
}

const notAKey = (key: string) =>
  new BkpError('USAGE', `${JSON.stringify(key)} is not a key of AWS KMS`, {
    next: 'give its ARN (arn:aws:kms:REGION:ACCOUNT:key/ID), or its alias (alias/NAME) and AWS_REGION',
  });

const notOpened = (key: string) =>
  new BkpError('KMS_DENIED', `the KMS key ${key} does not give back what it encrypted`, {
    cause: 'its answer to Decrypt is not what Encrypt was given',
    next: 'check AWS_ENDPOINT_URL_KMS and AWS_ENDPOINT_URL; nothing was changed',
  });
