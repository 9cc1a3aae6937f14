/**
 * The URLs of cron monitors: `URL` for a success, `URL/start`, `URL/fail`. A query stays at the end.
 * Source: https://healthchecks.io/docs/http_api/
 */
export function heartbeatUrl(address: string, event: 'start' | 'success' | 'fail'): string {
  if (event === 'success') return address;
  const url = new URL(address);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${event}`;
  return url.href;
}
