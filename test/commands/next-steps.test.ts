import {readdirSync, readFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import type {Command} from 'commander';
import {beforeAll, expect, test} from 'vitest';
import type {CommandDeps} from '../../src/commands/deps.ts';
import {commandGroups, rootCommand} from '../../src/commands/program.ts';
import {parseSource} from '../../src/config/addresses/source.ts';
import {parseStore} from '../../src/config/index.ts';
import {readValue, settingOf, settings} from '../../src/config/table.ts';
import {wrapAroundCommands} from '../../src/lib/wrap-steps.ts';
import {openSchedule} from '../../src/schedule/index.ts';
import {parse} from '../../src/sql/index.ts';
import {hole, sourceTexts} from '../helpers/texts.ts';

// Everything that a message, a help text or the manual tells users to type is valid: commands, options and
// settings exist, statements and addresses parse.

let program: Command;
beforeAll(async () => {
  program = rootCommand();
  for (const {load} of commandGroups) program.addCommand((await load()).command({} as CommandDeps));
});

const texts = sourceTexts();
const root = resolve(import.meta.dirname, '../..');
const manuals = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)];

/** Words after `bkp` in a sentence in which bkp itself is the subject. */
const prose = new Set(
  (
    'and can could does did expects finds forgets has is keeps knows lists looks may must needs never or reads says ' +
    'schedules shows starts takes tells that then there to understands waits was were which will with works writes ' +
    'asks backs cannot carries gives goes listens makes put puts removes runs sends skips stays stops uses version ' +
    'met sets of in on at for by a an the supplies than before after sees itself again are read as'
  ).split(' '),
);

const words = (text: string) => text.match(/"[^"]*"|'[^']*'|`[^`]*`|\S+/g) ?? [];
const bare = (word: string) => word.replace(/^[('"‘“]+|[.,;:)'"’”]+$/g, '');
const endsPhrase = (word: string) => /[,;:)]$|\.$/.test(word);

/** The fault of the command after the word `bkp`; undefined if there is none or it is not a command. */
function faultOfCommand(text: string, isExample: boolean): string | undefined {
  let command = program;
  const operands: string[] = [];
  const tokens = words(text);
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at]!;
    if (/^(?:[|&>#…]|<(?![a-z])|\d?>)/.test(token)) break;
    const word = /^(["'`]).*\1$/.test(token) ? token.slice(1, -1) : bare(token);
    const below: Command | undefined =
      operands.length === 0 ? command.commands.find((each) => each.name() === word) : undefined;
    if (below !== undefined) command = below;
    else if (command === program && !token.startsWith('-'))
      return prose.has(word) || word === 'help' || word.includes(hole) || !/^[a-z]/.test(word)
        ? undefined
        : `no command ${word}`;
    else if (/^--?[a-z]/.test(word)) {
      const [name, joined] = word.split('=');
      if (name === '--help') return undefined;
      const option = [...command.options, ...program.options].find(({long, short}) => long === name || short === name);
      if (option === undefined) return `no option ${name} of bkp ${command.name()}`;
      const takesNext = option.required || (option.optional && isExample && /^[^-#|]/.test(tokens[at + 1] ?? ''));
      if (takesNext && joined === undefined) at += 1;
    } else {
      const {registeredArguments: wanted} = command;
      const isVariadic = wanted.at(-1)?.variadic ?? false;
      const isWanted = operands.length < wanted.length || isVariadic;
      // In a sentence, an optional argument cannot be distinguished from the next word.
      if (!isWanted || (!isExample && !wanted[operands.length]?.required && !/["'A-Z…⟨]/.test(token)))
        return isExample && !isWanted ? `too many arguments: ${token}` : faultOfOperands(command, operands, isExample);
      operands.push(word);
    }
    if (!isExample && endsPhrase(token)) break;
  }
  return faultOfOperands(command, operands, isExample);
}

function faultOfOperands(command: Command, operands: readonly string[], isExample: boolean): string | undefined {
  const path = `bkp ${command.parent === program ? '' : `${command.parent?.name()} `}${command.name()}`;
  if (command.commands.length > 0) return undefined;
  if (operands.length === 0 && !isExample) return undefined;
  const missing = command.registeredArguments.filter(({required}) => required)[operands.length];
  if (missing !== undefined) return `${path} lacks its <${missing.name()}>`;
  const [first = '', second] = operands;
  if (command.parent?.name() === 'config' && ['set', 'get', 'unset'].includes(command.name()))
    return faultOfSetting(first, second);
  return command.name() === 'sql' && first !== '' ? faultOfStatements(first) : undefined;
}

const isPlaceholder = (word: string) => word.includes(hole) || /^[A-Z_…]+$/.test(word);

function faultOfSetting(key: string, value: string | undefined): string | undefined {
  if (isPlaceholder(key)) return undefined;
  try {
    const setting = settingOf(key);
    const written = value?.replace('region=…', 'region=eu-west-1').replace('=…', '=xxx');
    if (written !== undefined && !isPlaceholder(written) && written !== '-') readValue(setting, written, '/');
    return undefined;
  } catch (error) {
    return `${key} ${value ?? ''}: ${(error as Error).message}`;
  }
}

/** Replaces elided and inserted parts of a statement by something that fits. */
function filled(statement: string): string {
  return statement
    .replaceAll('‘', "'")
    .replaceAll('’', "'")
    .replace(/(= ?)(?:⟨…⟩|…)/g, "$1'1'")
    .replace(/\b(AT|TO|INTO) (?:⟨…⟩|…)/g, "$1 'x'")
    .replace(/'[^']*(?:…|⟨…⟩)[^']*'/g, "'x'")
    .replaceAll(hole, 'c')
    .replaceAll('…', 'c');
}

function parses(statement: string): boolean {
  try {
    return parse(statement).length > 0;
  } catch {
    return false;
  }
}

function faultOfStatements(text: string): string | undefined {
  if (text.includes('$') || /^(…|⟨…⟩)$/.test(text)) return undefined;
  return parses(filled(text)) ? undefined : `no statement: ${text}`;
}

const statementStart = /\b(?:(?:CREATE|ALTER|DROP|COPY) BACKUP|BACKUP|RESTORE|VERIFY|SHOW) /g;
/** First words of statements of databases that bkp does not have. */
const others = /^(?:CREATE|ALTER|DROP) (?!BACKUP)/;

/** The faults of the statements in a sentence: of each, a beginning up to its last keyword must be a statement. */
function faultsOfPhrases(text: string): string[] {
  const faults: string[] = [];
  for (const {index} of text.matchAll(statementStart)) {
    const before = text.slice(0, index).trimEnd();
    if (/[A-Z]$/.test(before.split(/\s/).at(-1) ?? '') || /bkp sql.*["']$/.test(before)) continue;
    const phrase = text.slice(index).split(/[;:,.](?:\s|$)|\)$/)[0]!;
    if (others.test(phrase)) continue;
    const parts = words(filled(phrase));
    const lastKeyword = parts.findLastIndex(
      (part, at) => /^[A-Z]{2,}$/.test(part) && parts.slice(0, at).every((each) => !/^[a-z]{4,}$/.test(each)),
    );
    const ends = parts.map((_, at) => at + 1).filter((end) => end > lastKeyword);
    const candidates = ends.flatMap((end) => {
      const words_ = parts
        .slice(0, end)
        .join(' ')
        .replace(/[).]+$/, '');
      return [
        words_,
        `${words_} c`,
        `${words_} WITH (STORAGE='cluster')`,
        `${words_} c WITH (STORAGE='cluster')`,
        `${words_} INTO 'x'`,
        `${words_} TO 'x'`,
        `${words_} SET (KEEP_LATEST='1')`,
        `${words_} TABLE t`,
        `${words_})`,
      ];
    });
    if (!candidates.some(parses)) faults.push(`no statement: ${phrase}`);
  }
  return faults;
}

const addressPattern = /\b(?:s3::|fs::|sqlite::|questdb::|s3:\/\/)[^\s'"`,)»]+/g;

function faultsOfAddresses(text: string): string[] {
  return [...text.matchAll(addressPattern)].flatMap(([address]) => {
    const written = address
      .replace(/[.:]$/, '')
      .replaceAll(hole, 'xxx')
      .replace('region=…', 'region=eu-west-1')
      .replaceAll('=…', '=xxx')
      .replaceAll(/;…|\/…/g, '');
    // Only its name, or a form that names no setting.
    if (/^[a-z0-9]+:(?::|\/\/)(?:xxx)?$/.test(written) || written.includes('key=value')) return [];
    const known = written
      .replace(/\bURL\b/, 'http://127.0.0.1:9000')
      .replace(/\bDIR\b/, '/dir')
      .replace(/\bNAME\b/g, 'name')
      .replace(/\bPREFIX\b/, 'prefix');
    try {
      if (/^(sqlite|questdb)::/.test(known)) parseSource(known, '/');
      else parseStore(known, '/');
      return [];
    } catch (error) {
      return [`${address}: ${(error as Error).message}`];
    }
  });
}

const withAllBelow = (command: Command): Command[] => [command, ...command.commands.flatMap(withAllBelow)];

/** Options that programs other than bkp have. */
const foreignOptions = new Set(['--bucket', '--endpoint-url', '--user', '--repair', '--help']);

test('every command in a text exists, with its options, arguments and settings', () => {
  const faults: string[] = [];
  for (const {text, where, isNext} of texts) {
    for (const {index} of text.matchAll(/(?<![\w-])bkp (?=[a-z-])/g)) {
      const rest = text.slice(index + 4);
      const [first = ''] = rest.split(/[\s,;:.)]/);
      const isKnown = program.commands.some((command) => command.name() === first);
      // Outside next steps, bkp is mostly the subject of a sentence.
      if (!isNext && !isKnown) continue;
      // A text is a line to type or a sentence.
      const fault = faultOfCommand(rest, true) && faultOfCommand(rest, false);
      if (fault !== undefined) faults.push(`${where}: ${fault} in: ${text}`);
    }
  }
  expect(faults).toEqual([]);
});

test('the options, settings and statements in next steps exist', () => {
  const optionNames = new Set(withAllBelow(program).flatMap(({options}) => options.map(({long}) => long)));
  const keys = new Set(settings.map(({key}) => key));
  const faults: string[] = [];
  for (const {text, where, isNext} of texts) {
    if (!isNext) continue;
    for (const [, option] of text.matchAll(/(?<![\w-])(--[a-z][a-z-]*)/g))
      if (!optionNames.has(option) && !foreignOptions.has(option!))
        faults.push(`${where}: no option ${option} in: ${text}`);
    for (const [key] of text.matchAll(/\b(?:backup|notify|select)\.[a-z_.]*[a-z]\b/g))
      if (!keys.has(key)) faults.push(`${where}: no setting ${key} in: ${text}`);
    faults.push(...faultsOfPhrases(text).map((fault) => `${where}: ${fault} in: ${text}`));
  }
  expect(faults).toEqual([]);
});

const scheduleSetting = /\bSCHEDULE(?:_FULL|_VERIFY|_DRILL)? ?= ?'([^'…]+)'/g;

test('the schedules in texts and manuals are cron lines', () => {
  const all = [...texts, ...manuals.map((file) => ({where: file, text: readFileSync(join(root, file), 'utf8')}))];
  const faults = all.flatMap(({text, where}) =>
    [...text.matchAll(scheduleSetting)].flatMap(([, line = '']) => {
      try {
        if (!line.includes(hole)) openSchedule(line);
        return [];
      } catch (error) {
        return [`${where}: ${(error as Error).message}`];
      }
    }),
  );
  expect(faults).toEqual([]);
});

test('of every next step, a terminal breaks no command, and loses no word', () => {
  for (const {text: written, isNext} of texts) {
    const text = written.replaceAll(hole, '');
    if (!isNext || /\s\s|\n/.test(text)) continue;
    const lines = wrapAroundCommands(text, 40);
    expect(lines.join(' ').trim()).toBe(text.trim());
    for (const [command] of text.matchAll(/\bbkp (?:config|operation|sql|store|vault) (?:[a-z]+|"[^"]*")/g))
      expect(lines, command).toContainEqual(expect.stringContaining(command));
  }
});

test('the addresses in texts are valid', () => {
  const faults = texts.flatMap(({text, where}) => faultsOfAddresses(text).map((fault) => `${where}: ${fault}`));
  expect(faults).toEqual([]);
});

test.each(manuals)('the commands of %s can be typed', (file) => {
  const faults: string[] = [];
  const blocks = readFileSync(join(root, file), 'utf8').matchAll(/^```(?:sh|console)?\n(.*?)^```$/gms);
  for (const [, block] of blocks) {
    const joined = block!.replace(/\\\n\s*/g, '').replace(/"[^"]*"/g, (quoted) => quoted.replace(/\s+/g, ' '));
    for (const line of joined.split('\n')) {
      const command = /^(?:\$ |\(?crontab -l; )?(?:[A-Z_]+=\S+ )*bkp ((?!<)[a-z-].*)$/.exec(line)?.[1];
      if (command === undefined || /^\S+ .*\[/.test(command)) continue;
      const typed = command
        .replace(/ # .*$| {4,}.*$/, '')
        .replace(/\).*$/, (rest) => (command.includes('(') ? rest : ''));
      const fault = faultOfCommand(typed, true);
      if (fault !== undefined) faults.push(`${fault}: ${line}`);
    }
  }
  expect(faults).toEqual([]);
});
