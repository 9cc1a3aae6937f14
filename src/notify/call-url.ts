import {systemCode} from '../errors/index.ts';

export type CallOptions = {
  /** Of one try, from the first byte sent to the last one received. */
  timeoutMs?: number;
  /** Tries in all. Only what may be different the next time is tried again: no answer, 429, 5xx. */
  tries?: number;
  pauseMs?: number;
};

/** A monitor that takes longer than this is as good as away, and the one who waits holds a finished worker. */
const callTimeoutMs = 10_000;
const callTries = 3;
/** Long enough for a server that is being restarted behind a proxy to lose no call of three. */
const callPauseMs = 2_000;

/**
 * POSTs `body` as JSON; without a body the request is empty.
 * @returns what went wrong in words, undefined when the server answered with a 2xx. Neither the URL nor what the server said is in it.
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
      // The body goes to the server that was named, and to no other.
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    const {status} = response;
    if (response.ok) return {};
    if (status >= 300 && status < 400)
      return {fault: `the server answered ${status}, a redirect, which is not followed`};
    return {fault: `the server answered ${status}`, mayPass: status === 429 || status >= 500};
  } catch (error) {
    return {fault: reason(error, timeoutMs), mayPass: true};
  }
}

/** fetch refuses a URL with a user in it. */
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

/** Messages of the layers below may hold the URL; their codes (`ECONNREFUSED`, `CERT_HAS_EXPIRED`) hold nothing. */
function reason(error: unknown, timeoutMs: number): string {
  if ((error as Error).name === 'TimeoutError') return `no answer within ${timeoutMs / 1000} s`;
  const code = systemCode((error as Error).cause) ?? systemCode(error);
  return `the server cannot be reached${code === undefined ? '' : ` (${code})`}`;
}
