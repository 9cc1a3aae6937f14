import {absolutePath} from './absolute-path.ts';
import {type SourceSyntax, sourceFault} from './source-syntax.ts';

export type QuestDbAddress = {
  scheme: 'questdb';
  /** The folder that contains `conf` and `db`. */
  root: string;
  /** URL of the server's REST interface; absent: the default one on this machine. */
  http?: string | undefined;
  user?: string | undefined;
  /** The server is stopped: bkp reads its files directly. */
  offline: boolean;
};

const example = 'questdb::root=DIR;http=URL';

export const questdbSyntax: SourceSyntax<QuestDbAddress> = {
  example,
  keys: ['root', 'http', 'user', 'offline'],

  fromSettings(values, cwd) {
    const root = values.get('root') ?? '';
    const offline = values.get('offline') ?? 'false';
    if (root.trim() === '') throw sourceFault('the root of the QuestDB server is missing', 'write questdb::root=DIR');
    if (offline !== 'true' && offline !== 'false') throw sourceFault('offline is true or false', 'write offline=true');
    const http = values.get('http');
    if (http !== undefined && !/^https?:\/\/[^\s/@]+\/?$/.test(http)) {
      throw sourceFault('http is not the URL of a server', 'write http=http://127.0.0.1:9000');
    }
    return {
      scheme: 'questdb',
      root: absolutePath(root, cwd, 'source'),
      http: http?.replace(/\/$/, ''),
      user: values.get('user'),
      offline: offline === 'true',
    };
  },

  describe({root, http, user, offline}) {
    const pairs = [
      ['root', root],
      ['http', http],
      ['user', user],
      ['offline', offline ? 'true' : undefined],
    ] as const;
    return `questdb::${pairs.flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`])).join(';')}`;
  },
};
