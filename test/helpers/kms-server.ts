import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {onTestFinished} from 'vitest';

/** What KMS replies instead of doing what was asked for. */
export type KmsFailure = {
  type: string;
  message?: string;
  status?: number;
  /** Absent: for ever. */
  times?: number;
};

type Call = {call: string; KeyId?: string; EncryptionContext?: Record<string, string>};

export const keyArn = (id: string, region = 'eu-central-1') => `arn:aws:kms:${region}:111122223333:key/${id}`;

/** A multi-region key has the same id everywhere. */
const areSame = (one: string, other: string): boolean =>
  one === other || (one.includes('/mrk-') && one.split('/')[1] === other.split('/')[1]);

/**
 * A server that does what AWS KMS does for symmetric keys, or fails as a test wants it to. What it encrypts can be
 * read by everyone. The SDK finds it through the environment.
 */
export async function startKms(aliases: Record<string, string> = {}) {
  const calls: Call[] = [];
  const failures = new Map<string, KmsFailure>();
  const arnOf = (key: string) => (key.startsWith('alias/') ? aliases[key] : key.startsWith('arn:') ? key : keyArn(key));
  const refuse = (type: string, message = ''): never => {
    throw {type, message, status: 400} satisfies KmsFailure;
  };
  const reply = ({call, KeyId = '', ...input}: Call & Record<string, unknown>) => {
    const arn = arnOf(KeyId) ?? refuse('NotFoundException', `Alias ${KeyId} is not found.`);
    const failure = failures.get(call);
    if (failure?.times !== undefined && --failure.times === 0) failures.delete(call);
    if (failure !== undefined) throw failure;
    const context = JSON.stringify(input.EncryptionContext);
    if (call === 'Encrypt') {
      const blob = Buffer.from(JSON.stringify({arn, context, plain: input.Plaintext})).toString('base64');
      return {CiphertextBlob: blob, KeyId: arn};
    }
    let blob: {arn: string; context: string; plain: string};
    try {
      blob = JSON.parse(Buffer.from(String(input.CiphertextBlob), 'base64').toString());
    } catch {
      return refuse('InvalidCiphertextException');
    }
    if (!areSame(blob.arn, arn)) refuse('IncorrectKeyException', 'The key ID in the request does not identify a CMK');
    if (blob.context !== context) refuse('InvalidCiphertextException');
    return {Plaintext: blob.plain, KeyId: arn};
  };
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const call = String(request.headers['x-amz-target']).replace('TrentService.', '');
    const input = {...JSON.parse(Buffer.concat(parts).toString()), call};
    calls.push(input);
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    try {
      response.end(JSON.stringify(reply(input)));
    } catch (thrown) {
      const {type, message, status = 400} = thrown as KmsFailure;
      response.statusCode = status;
      response.end(JSON.stringify({__type: type, message}));
    }
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  setVariables({
    AWS_ENDPOINT_URL_KMS: endpoint,
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_PROFILE: undefined,
  });
  onTestFinished(stop);
  return {calls, failures, stop};
}

/** Until the test ends. */
export function setVariables(values: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(values)) {
    const before = process.env[name];
    const set = (to: string | undefined) => {
      if (to === undefined) delete process.env[name];
      else process.env[name] = to;
    };
    set(value);
    onTestFinished(() => set(before));
  }
}
