import {systemCode} from '../errors/index.ts';

export type CallOptions = {
  /** Limit for one try, from the first byte sent to the last byte received. */
  timeoutMs?: number;
  /** Total number of tries. Only failures that may pass are retried: no response, 429, 5xx. */
  tries?: number;
  pauseMs?: number;
};

/** A finished worker waits for this call, so a slower server counts as not reachable. */
const callTimeoutMs = 10_000;
const callTries = 3;
/** Three tries then outlast the restart of a server behind a proxy. */
const callPauseMs = 2_000;

/**
 * POSTs `body` as JSON; without a body the request is empty.
 * @returns undefined after a 2xx response, otherwise a message without the URL and without the body of the response
 */
export async function callUrl(
  address: string,
  body: string | undefined,
  {timeoutMs = callTimeoutMs, tries = callTries, pauseMs = callPauseMs}: CallOptions = {},
): Promise<string | undefined> {
  for (let left = tries - 1; ; left--) {
    const {fault, mayPass} = await callOnce(address, body, timeoutMs);
    if (fault === undefined || !mayPass || left <= 0) return fault;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

async function callOnce(
  address: string,
  body: string | undefined,
  timeoutMs: number,
): Promise<{fault?: string; mayPass?: boolean}> {
  try {
    const response = await fetch(withoutUser(address), {
      method: 'POST',
      headers: {
        'user-agent': 'bkp',
        ...(body === undefined ? {} : {'content-type': 'application/json'}),
        ...authorization(address),
      },
      ...(body === undefined ? {} : {body}),
      // Only the named server may receive the body.
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    const {status} = response;
    if (response.ok) return {};
    if (status >= 300 && status < 400)
      return {fault: `the server responded with ${status}, a redirect, which bkp does not follow`};
    return {fault: `the server responded with ${status}`, mayPass: status === 429 || status >= 500};
  } catch (error) {
    return {fault: reason(error, timeoutMs), mayPass: true};
  }
}

/** fetch does not accept a URL that contains a user. */
function withoutUser(address: string): URL {
  const url = new URL(address);
  url.username = '';
  url.password = '';
  return url;
}

function authorization(address: string): {authorization?: string} {
  const {username, password} = new URL(address);
  if (username === '' && password === '') return {};
  const user = `${decoded(username)}:${decoded(password)}`;
  return {authorization: `Basic ${Buffer.from(user).toString('base64')}`};
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Messages of lower layers may contain the URL; their codes (`ECONNREFUSED`, `CERT_HAS_EXPIRED`) do not. */
function reason(error: unknown, timeoutMs: number): string {
  if ((error as Error).name === 'TimeoutError') return `no response within ${timeoutMs / 1000} s`;
  const code = systemCode((error as Error).cause) ?? systemCode(error);
  return `the server cannot be reached${code === undefined ? '' : ` (${code})`}`;
}
