import {createServer, type RequestListener, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import {afterEach, describe, expect, test} from 'vitest';
import {QuestDbHttp} from '../../../src/sources/questdb/server/http.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function serverThat(responds: RequestListener): Promise<QuestDbHttp> {
  server = createServer(responds);
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  return new QuestDbHttp({http: `http://127.0.0.1:${(server.address() as AddressInfo).port}`});
}

const unavailable = {code: 'SOURCE_UNAVAILABLE', retryable: true};

describe('a request to the server', () => {
  test('that is not answered ends after the time limit', async () => {
    const http = await serverThat(() => {});
    await expect(http.ask('SELECT 1', 50)).rejects.toMatchObject({...unavailable, cause: 'no answer within 0.05 s'});
  });

  test('whose answer stops in the middle ends after the time limit', async () => {
    const http = await serverThat((_, response) => void response.write('{"columns":'));
    await expect(http.ask('SELECT 1', 50)).rejects.toMatchObject({...unavailable, cause: 'no answer within 0.05 s'});
  });

  test('whose answer is cut off fails with the reason', async () => {
    const http = await serverThat((_, response) => {
      response.writeHead(200, {'content-length': 100});
      response.write('{', () => response.destroy());
    });
    await expect(http.ask('SELECT 1')).rejects.toMatchObject({...unavailable, cause: expect.any(Error)});
  });

  test('whose answer does not end is cut off before it fills the memory', async () => {
    const mebibyte = Buffer.alloc(1024 * 1024, ' ');
    let sent = 0;
    const http = await serverThat((_, response) => {
      const more = () => {
        sent++;
        response.write(mebibyte, () => (response.destroyed ? undefined : more()));
      };
      more();
    });
    await expect(http.ask('SELECT 1')).rejects.toMatchObject({
      message: expect.stringContaining('is not QuestDB'),
      cause: 'it sends more than 268435456 bytes',
    });
    expect(sent).toBeLessThan(512);
  });

  test('follows no redirect', async () => {
    const seen: (string | undefined)[] = [];
    const http = await serverThat((request, response) => {
      seen.push(request.url);
      response.writeHead(302, {location: '/elsewhere'}).end();
    });
    await expect(http.ask('SELECT 1')).rejects.toMatchObject({cause: expect.stringContaining('HTTP 302')});
    expect(seen).toEqual(['/exec?query=SELECT+1']);
  });

  test('gets text whose characters are divided between two pieces', async () => {
    const json = Buffer.from(JSON.stringify({columns: [{name: 'ä'}], dataset: [['€']]}));
    const cut = json.indexOf(Buffer.from('€')) + 1;
    const http = await serverThat((_, response) => {
      response.write(json.subarray(0, cut), () => setTimeout(() => response.end(json.subarray(cut)), 20));
    });
    expect(await http.ask('SELECT 1')).toEqual({rows: [{ä: '€'}]});
  });

  test('does not use a connection again', async () => {
    const ports = new Set<number | undefined>();
    const http = await serverThat((request, response) => {
      ports.add(request.socket.remotePort);
      response.end('{"ddl":"OK"}');
    });
    for (let count = 0; count < 3; count++) expect(await http.ask('CHECKPOINT RELEASE')).toEqual({rows: []});
    expect(ports.size).toBe(3);
  });
});
