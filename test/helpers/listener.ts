import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {onTestFinished} from 'vitest';

export type HeardCall = {
  method: string;
  /** Including the query. */
  path: string;
  headers: Record<string, unknown>;
  body: string;
};

export type Listener = {
  /** `http://127.0.0.1:PORT` */
  url: string;
  calls: HeardCall[];
  paths: () => string[];
};

/**
 * A local server that records the requests it receives, and ends with the test.
 * @param answer the status of the response, or `never` for no response
 */
export async function startListener(
  answer: (call: HeardCall, count: number) => number | 'never' = () => 200,
): Promise<Listener> {
  const calls: HeardCall[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      const {method = '', url = '', headers} = request;
      const call = {method, path: url, headers, body};
      calls.push(call);
      const status = answer(call, calls.length);
      if (status !== 'never') response.writeHead(status, {location: '/elsewhere'}).end('the answer');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const {port} = server.address() as AddressInfo;
  return {url: `http://127.0.0.1:${port}`, calls, paths: () => calls.map(({path}) => path)};
}
