import {formatBytes} from '../../lib/figures.ts';
import type {Traffic} from '../../stores/index.ts';

/** `14 requests (GetObject 3, PutObject 7, …), 4.1 MiB sent, 12.0 KiB received`. */
export function trafficText({requests, sentBytes, receivedBytes, lacking = []}: Traffic): string {
  const names = Object.entries(requests).map(([name, count]) => `${name} ${count}`);
  const count = Object.values(requests).reduce((sum, one) => sum + one, 0);
  const without = lacking.length === 0 ? '' : `; this server refused, and bkp does without: ${lacking.join(', ')}`;
  const bytes = `${formatBytes(sentBytes)} sent, ${formatBytes(receivedBytes)} received`;
  return `${count} requests (${names.join(', ')}), ${bytes}${without}`;
}
