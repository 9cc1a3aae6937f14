import {type Forgotten, forgetOldKeys, type OlderKey} from '../../app/keys/forget.ts';
import {openKeys} from '../../app/keys/open-keys.ts';
import {shownIdLength} from '../../app/keys/slots.ts';
import {formatCount} from '../../lib/figures.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {printedTable} from '../tables.ts';

export type ForgetOptions = {dryRun: boolean; format: RowFormat};

export async function runKeyForget(
  deps: CommandDeps,
  names: readonly string[],
  {dryRun: isTrial, format}: ForgetOptions,
): Promise<void> {
  const opened = await openKeys(deps);
  const found = await forgetOldKeys(deps, opened, {names, isTrial});
  if (format === 'json') {
    deps.stdout.write(forgottenJson(found, {isTrial}));
    return;
  }
  if (found.keys.length > 0) deps.stdout.write(tableOf(deps, found.keys));
  const lines = [...sentences(found, {isTrial})];
  const isForgotten = !isTrial && found.keys.some((key) => key.isForgotten);
  if (isForgotten && opened.place.store.kind === 's3') {
    lines.push('a bucket that keeps older versions of objects still has the rings with these keys');
  }
  deps.stdout.write(`${[...lines, `ring ${found.fingerprint}`].join('\n')}\n`);
}

function tableOf({stdout}: CommandDeps, keys: readonly OlderKey[]): string {
  const columns = [
    {name: 'key'},
    {name: 'seals'},
    {name: 'since', spare: 1},
    {name: 'objects'},
    {name: 'example', spare: 2},
  ];
  const rows = keys.map(({id, seals, since, objects, example}) => {
    return [id.slice(0, shownIdLength), seals, since, objects, example ?? ''];
  });
  return printedTable({columns, rows}, 'pretty', stdout);
}

function sentences({keys, unclear, isComplete}: Forgotten, {isTrial}: {isTrial: boolean}): readonly string[] {
  if (keys.length === 0) return ['there are no older keys'];
  if (unclear.length > 0) {
    return [
      'no key is forgotten: objects are damaged, and which key they need is unknown',
      ...unclear.map(({detail}) => `  ${detail}`),
      'VERIFY the backups, heal them or drop what is lost; then bkp collection cleanup, and the command again',
    ];
  }
  const forgotten = keys.filter(({isForgotten}) => isForgotten).length;
  const needed = keys.filter(({objects}) => objects > 0).length;
  const lines: string[] = [];
  if (forgotten > 0) lines.push(`${formatCount(forgotten, 'key')} ${isTrial ? 'can be forgotten' : 'forgotten'}`);
  if (needed > 0) {
    lines.push(
      `${formatCount(needed, 'key')} kept: objects need ${needed === 1 ? 'it' : 'them'}, until ` +
        'bkp vault key rotate --reencrypt',
    );
  }
  if (!isComplete) lines.push('the older rings, which have forgotten keys, are still in the store');
  return lines;
}

/** One line, a contract: fields are only added. */
function forgottenJson(found: Forgotten, {isTrial}: {isTrial: boolean}): string {
  const {keys, unclear, fingerprint, generation, isComplete} = found;
  const plain = ({id, seals, since, objects, example}: OlderKey) => ({key: id, seals, since, objects, example});
  return `${JSON.stringify({
    ring: fingerprint,
    generation,
    forgotten: keys.filter(({isForgotten}) => isForgotten).map(plain),
    kept: keys.filter(({isForgotten}) => !isForgotten).map(plain),
    unclear,
    dryRun: isTrial,
    complete: isComplete,
  })}\n`;
}
