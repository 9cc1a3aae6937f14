import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {askForReload} from '../../src/app/schedules/reload-signal.ts';
import {writeTextfile} from '../../src/commands/metrics/textfile.ts';
import {printLog} from '../../src/commands/operation/log.ts';
import {readConfigFile} from '../../src/config/file.ts';
import {replaceFile} from '../../src/lib/files.ts';
import {obstacleAt, readPlainFile} from '../../src/lib/plain-file.ts';
import {openLogFile} from '../../src/ops/index.ts';
import {guarded} from '../../src/ops/journal/errors.ts';
import {openJournalFile} from '../../src/ops/journal/file.ts';

describe.skipIf(process.platform === 'win32')('what is not a file', () => {
  let folder: string;
  const at = (name: string) => join(folder, name);
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bkp-plain-'));
    writeFileSync(at('file'), 'text');
    mkdirSync(at('folder'));
    execFileSync('mkfifo', [at('pipe')]);
    symlinkSync('file', at('link'));
    symlinkSync('pipe', at('to-pipe'));
    symlinkSync('/dev/null', at('null'));
    symlinkSync('nowhere', at('dangling'));
    symlinkSync('circle', at('circle'));
    symlinkSync('file/inside', at('through'));
  });
  afterAll(() => rmSync(folder, {recursive: true, force: true}));

  test.each([
    ['file', undefined],
    ['link', undefined],
    ['absent', undefined],
    ['folder', 'a folder'],
    ['pipe', 'a named pipe'],
    ['to-pipe', 'a link to pipe, which is a named pipe'],
    ['null', 'a link to /dev/null, which is a device'],
    ['dangling', 'a link to nowhere, which does not exist'],
    ['circle', 'a link that leads back to itself'],
    ['through', 'a link to file/inside, which cannot be reached'],
  ])('%s: %s', (name, what) => {
    expect(obstacleAt(at(name))).toBe(what);
  });

  test('a pipe is not read, which would wait for a writer', () => {
    expect(() => readPlainFile(at('pipe'))).toThrow(`${at('pipe')} is a named pipe, not a file`);
    expect(readPlainFile(at('link'))).toBe('text');
  });

  // A device takes the place of the pipe here: without the check, these calls end instead of waiting for ever.
  test.each<[string, () => unknown, string]>([
    ['configuration', () => readConfigFile(at('null')), 'CONFIG_UNAVAILABLE'],
    ['journal', () => guarded(at('null'), () => openJournalFile(at('null'))), 'JOURNAL_UNAVAILABLE'],
    ['reload file', () => askForReload({configFile: '', reloadFile: at('null')}, 0), 'CONFIG_UNAVAILABLE'],
    ['metrics', () => writeTextfile(at('null'), 'x'), 'FILE_UNAVAILABLE'],
    ['log', () => printLog({} as never, {kind: 'fullbackup', number: 1, logFile: at('null')} as never), 'JOURNAL_'],
  ])('%s: the error says what is there', async (_, work, code) => {
    const error = await (async () => work())().catch((thrown) => thrown);
    expect(error).toMatchObject({
      code: expect.stringContaining(code),
      cause: {message: `${at('null')} is a link to /dev/null, which is a device, not a file`},
      next: expect.stringMatching(/move it away|name a file|look at/),
    });
  });

  test('no log is opened in the place of a device', () => {
    expect(() => openLogFile(at('null'))).toThrow('which is a device');
  });

  test('a file does not replace a device, and a link to a file stays', async () => {
    const options = {temporary: at('new'), mode: 0o600};
    await expect(replaceFile(at('null'), 'x', options)).rejects.toThrow('which is a device');
    await writeTextfile(at('link'), 'new text');
    expect(readFileSync(at('file'), 'utf8')).toBe('new text');
    expect(obstacleAt(at('link'))).toBeUndefined();
    writeFileSync(at('file'), 'text');
    expect(readPlainFile(at('link'))).toBe('text');
  });
});
