// Generates man pages from the declarations that also produce the help: commander's commands, the table of groups, the
// exit statuses, the settings. Runs on the sources; Node 24 strips their types.
import {readFileSync} from 'node:fs';
import {exitStatusMeanings} from '../src/commands/help.ts';
import {commandGroups, rootCommand} from '../src/commands/program.ts';
import {resolveHome} from '../src/config/index.ts';
import {environmentNames, settings} from '../src/config/table.ts';
import {ExitStatus} from '../src/errors/index.ts';
import {bold, definition, examples, italic, line, section, subsection, text} from './roff.js';

const {version} = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** @returns {Promise<Map<string, string>>} pages by file name: bkp.1, and one per group of the help */
export async function manPages() {
  const shown = commandGroups.filter(({hidden}) => !hidden);
  const pages = new Map([['bkp.1', rootPage(shown)]]);
  for (const {name, summary, load} of shown) {
    const command = (await load()).command({});
    pages.set(`bkp-${name}.1`, groupPage(command, summary));
  }
  return pages;
}

function rootPage(groups) {
  const root = rootCommand();
  return [
    title('bkp'),
    section('NAME', line(`bkp - ${root.description().replace(/\.$/, '')}`)),
    section('SYNOPSIS', line(bold('bkp'), ' [', italic('options'), '] ', italic('command'), ' …')),
    section(
      'DESCRIPTION',
      text(
        'bkp backs up collections of tables: a full backup first, then only what changed. A statement ' +
          'starts the work and returns at once; the work is an operation with an id, which ' +
          'bkp-operation(1) lists, watches and cancels.',
      ),
    ),
    section(
      'COMMANDS',
      ...groups.map(({name, summary}) => definition(line(bold(`bkp-${name}`), '(1)'), text(summary))),
    ),
    section('OPTIONS', text('They may stand before or after the command.'), ...options(root)),
    exitStatuses(),
    section(
      'ENVIRONMENT',
      definition(line(bold('BKP_HOME')), text('The folder of journal, configuration, logs and caches; as --home.')),
      definition(line(bold('BKP_PROFILE')), text('The profile to use; as --profile.')),
      ...settings.map((setting) =>
        definition(
          line(...environmentNames(setting).flatMap((name, at) => (at === 0 ? [bold(name)] : [', ', bold(name)]))),
          text(`Comes before ${setting.key} of the profile: ${setting.meaning}.`),
        ),
      ),
      definition(
        line(bold('BKP_PASSWORD_FILE'), ', \u2026'),
        text(
          'Names a file that contains the value. Each of these variables whose value may be a secret has one with ' +
            `_FILE added: ${secretVariables().join(', ')}.`,
        ),
      ),
      definition(line(bold('NO_COLOR'), ', ', bold('FORCE_COLOR')), text('Never, or always, use colours.')),
    ),
    section('FILES', text('In BKP_HOME, or where it is not set in ~/.local/share/bkp:'), ...files()),
    exampleSection(root),
    section('SEE ALSO', text(groups.map(({name}) => `bkp-${name}(1)`).join(', '))),
  ].join('');
}

const secretVariables = () =>
  settings.filter(({secret}) => secret).flatMap((setting) => environmentNames(setting).slice(0, 1));

function groupPage(command, summary) {
  const name = command.name();
  const verbs = command.createHelp().visibleCommands(command);
  const parts = verbs.length > 0 ? verbs.map((verb) => synopsis(verb, `bkp ${name} `)) : [synopsis(command, 'bkp ')];
  return [
    title(`bkp-${name}`),
    section('NAME', line(`bkp-${name} - ${summary}`)),
    section('SYNOPSIS', ...parts),
    section('DESCRIPTION', text(command.description()), ...(verbs.length > 0 ? [] : parameters(command))),
    ...(verbs.length > 0 ? [section('COMMANDS', ...verbs.map((verb) => verbPart(verb, `bkp ${name} `)))] : []),
    exitStatuses(),
    exampleSection(command),
    section('SEE ALSO', text('bkp(1), whose options may stand here too')),
  ].join('');
}

/** A verb, or a group of verbs below it. */
function verbPart(verb, before) {
  const below = verb.createHelp().visibleCommands(verb);
  const own = [subsection(synopsisWords(verb, before)), text(verb.description()), ...parameters(verb)];
  const shown = tailOf(verb).examples;
  if (shown.length > 0) own.push(examples(shown));
  return [...own, ...below.map((child) => verbPart(child, `${before}${verb.name()} `))].join('');
}

function synopsis(command, before) {
  return `${line(bold(`${before}${command.name()}`), ` ${command.usage()}`)}.br\n`;
}

function synopsisWords(command, before) {
  return `${before}${command.name()} ${command.usage()}`;
}

function parameters(command) {
  const help = command.createHelp();
  const args = help
    .visibleArguments(command)
    .map((argument) => definition(line(italic(argument.name())), text(help.argumentDescription(argument))));
  return [...args, ...options(command)];
}

function options(command) {
  const help = command.createHelp();
  return help
    .visibleOptions(command)
    .filter(({long}) => long !== '--help')
    .map((option) => definition(line(bold(option.flags)), text(help.optionDescription(option))));
}

function exitStatuses() {
  const rows = Object.entries(ExitStatus).map(([name, status]) =>
    definition(line(bold(String(status))), text(exitStatusMeanings[name])),
  );
  return section('EXIT STATUS', ...rows);
}

function files() {
  const home = resolveHome({BKP_HOME: '/'}, 'linux', '/');
  const meanings = {
    journalFile: 'the operations',
    logsDir: 'a log for each operation',
    configFile: 'the profiles',
    clusterDir: "the store that STORAGE = 'cluster' means where no other is set",
    cacheDir: 'may be removed at any time',
    historyFile: 'statements typed at the prompt',
  };
  return Object.entries(meanings).map(([key, meaning]) => definition(line(bold(home[key].slice(1))), text(meaning)));
}

function exampleSection(command) {
  const shown = tailOf(command).examples;
  return shown.length === 0 ? '' : section('EXAMPLES', examples(shown));
}

/** Parses the text that a command adds to its help. */
function tailOf(command) {
  let tail = '';
  command.emit('afterHelp', {command, write: (part) => (tail += part)});
  const lines = tail.split('\n');
  return {examples: lines.filter((each) => each.startsWith('  $ ')).map((each) => each.slice(4))};
}

function title(name) {
  return (
    `.\\" Made by npm run man; change the declarations of the command instead.\n.TH ` +
    `${name.toUpperCase()} 1 "" "bkp ${version}" "bkp"\n`
  );
}
