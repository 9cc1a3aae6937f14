import {closeSync, openSync} from 'node:fs';
import {createInterface} from 'node:readline';
import {ReadStream, WriteStream} from 'node:tty';
import {restoreOnHangUp} from '../lib/hang-up.ts';

/**
 * Asks on the terminal, whatever stdin is: stdin may be a statement. What is typed is not shown.
 * @returns undefined if the process has no terminal
 */
export async function askSecret(question: string): Promise<string | undefined> {
  if (process.platform === 'win32') return undefined;
  let file: number;
  try {
    file = openSync('/dev/tty', 'r+');
  } catch {
    return undefined;
  }
  const [input, output] = [new ReadStream(file), new WriteStream(file)];
  const lines = createInterface({input, terminal: true, historySize: 0});
  const release = restoreOnHangUp(() => lines.close());
  output.write(`${question}: `);
  try {
    return await new Promise<string | undefined>((resolve) => {
      lines.once('line', resolve);
      lines.once('close', () => resolve(undefined));
      lines.once('SIGINT', () => {
        lines.close();
        process.kill(process.pid, 'SIGINT');
      });
    });
  } finally {
    release();
    output.write('\n');
    lines.close();
    input.destroy();
    output.destroy();
    try {
      closeSync(file);
    } catch {
      // The streams have closed it.
    }
  }
}
