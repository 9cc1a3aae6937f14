import {Command, Option} from 'commander';
import type {RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {type AddOptions, runKeyAdd} from './add.ts';
import {type PasswdOptions, type RemoveOptions, runKeyPasswd, runKeyRemove, runKeyRotate} from './change.ts';
import {type CreateOptions, runCreate} from './create.ts';
import {type ForgetOptions, runKeyForget} from './forget.ts';
import {runKeyList} from './list.ts';
import {type ReencryptOptions, runReencrypt} from './reencrypt.ts';
import {type ImportOptions, runKeyExport, runKeyImport} from './transfer.ts';

const format = () => new Option('--format <format>', 'output format').choices(['pretty', 'json']).default('pretty');

const statuses = ['done', 'failed', 'usage', 'locked', 'refused', 'damaged'] as const;

export function command(deps: CommandDeps): Command {
  const group = new Command('vault')
    .description('Make a vault, and manage who can open an encrypted one.')
    .addHelpText('after', helpTail(['bkp vault create --encrypt', 'bkp vault key add --kit'], statuses));
  group
    .command('create')
    .description(
      'Make a vault in an empty store. Without it, the first CREATE BACKUP COLLECTION or BACKUP DATABASE does.',
    )
    .option(
      '--encrypt',
      'encrypt it, with the password of the settings, or one that is asked for; default: if a password is set',
    )
    .addHelpText('after', helpTail(['bkp vault create --encrypt', 'bkp --store s3 vault create --encrypt'], statuses))
    .action((options: CreateOptions) => runCreate(deps, options));
  group.addCommand(keyCommand(deps));
  return group;
}

function keyCommand(deps: CommandDeps): Command {
  const group = new Command('key')
    .description('List and change the slots of an encrypted vault: what opens it, and for whom.')
    .addHelpText('after', helpTail(['bkp vault key list', 'bkp vault key add --kit'], statuses));
  group
    .command('list')
    .description('List the slots. Which secrets open them is shown nowhere.')
    .addOption(format())
    .addHelpText('after', helpTail(['bkp vault key list', 'bkp vault key list --format json | jq -r .label'], statuses))
    .action((options: {format: RowFormat}) => runKeyList(deps, options));
  group
    .command('add')
    .description(
      'Add a slot: a recovery kit, a key in a new file, a recipient of age, a key of AWS KMS, or another password, ' +
        'which is asked for unless a file has it.',
    )
    .option('--kit [file]', 'print a recovery kit, or write it into a new file')
    .option('--key-file <file>', 'write a new key into a new file, for a machine or a service')
    .option('--password-file <file>', 'take the new password from this file')
    .option('--age <recipient...>', 'for whoever has the identity of an age recipient, age1…, or of one in a file')
    .option('--kms <key>', 'for whoever may decrypt with a key of AWS KMS: its ARN, or its alias')
    .option('--label <label>', 'whose it is; default: the name of this machine')
    .addOption(format())
    .addHelpText(
      'after',
      helpTail(
        [
          'bkp vault key add --kit',
          'bkp vault key add --kit kit.txt',
          'bkp vault key add --label laptop-anna',
          'bkp vault key add --age recipients.txt',
          'bkp vault key add --kms arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
        ],
        statuses,
      ),
    )
    .action((options: AddOptions) => runKeyAdd(deps, options));
  group
    .command('remove')
    .description(
      'Remove slots, and use new keys from now on: what is backed up later stays closed to whoever had them. The ' +
        'secrets of the other slots are not needed.',
    )
    .argument('<slot...>', 'id or label')
    .option('--keep-keys', 'go on with the same keys: nobody else had the secret', false)
    .addOption(format())
    .addHelpText('after', helpTail(['bkp vault key remove laptop-2024', 'bkp vault key remove 3fa9c120'], statuses))
    .action((names: string[], options: RemoveOptions) => runKeyRemove(deps, names, options));
  group
    .command('passwd')
    .description('Replace the password, or key, that opened the vault by a new password.')
    .option('--password-file <file>', 'take the new password from this file')
    .option('--rotate', 'use new keys from now on: somebody else may know the old password', false)
    .addOption(format())
    .addHelpText('after', helpTail(['bkp vault key passwd', 'bkp vault key passwd --rotate'], statuses))
    .action((options: PasswdOptions) => runKeyPasswd(deps, options));
  group
    .command('rotate')
    .description(
      'Use new keys for everything that is written from now on, and with --reencrypt for everything that is there. ' +
        'All slots stay.',
    )
    .option(
      '--reencrypt',
      'also seal what is in the store again with the new keys: an operation, beside backups',
      false,
    )
    .option('-w, --wait', 'wait for the operation of --reencrypt to end; the exit status is its result', false)
    .addOption(format())
    .addHelpText('after', helpTail(['bkp vault key rotate', 'bkp vault key rotate --reencrypt --wait'], statuses))
    .action(({reencrypt, ...options}: ReencryptOptions & {reencrypt: boolean}) =>
      reencrypt ? runReencrypt(deps, options) : runKeyRotate(deps, options),
    );
  group
    .command('forget')
    .description(
      'Take older keys that nothing in the store is sealed with any more out of the ring: all such keys, or those ' +
        'that are named. It looks at every object, and refuses to forget a key that one of them needs.',
    )
    .argument('[key...]', 'id of an older key')
    .option('--dry-run', 'list the older keys and what needs them; change nothing', false)
    .addOption(format())
    .addHelpText('after', helpTail(['bkp vault key forget --dry-run', 'bkp vault key forget'], statuses))
    .action((names: string[], options: ForgetOptions) => runKeyForget(deps, names, options));
  group
    .command('export')
    .description(
      'Write the sealed keys of the vault into a new file: the newest ring, and the slots. It has no secret, and ' +
        'each slot opens it. With it, a store that has lost everything below keys/ can be read again.',
    )
    .argument('<file>', 'a new file')
    .addOption(format())
    .addHelpText('after', helpTail(['bkp vault key export keys.json'], statuses))
    .action((file: string, options: {format: RowFormat}) => runKeyExport(deps, file, options));
  group
    .command('import')
    .description(
      'Write again what the store has lost of the keys, from a file of export. What is there and intact stays. A ' +
        'secret must open the file.',
    )
    .argument('<file>', 'what export wrote')
    .option('--allow-older', 'take it although this machine has seen newer keys, which are lost', false)
    .addOption(format())
    .addHelpText('after', helpTail(['bkp vault key import keys.json'], statuses))
    .action((file: string, options: ImportOptions) => runKeyImport(deps, file, options));
  return group;
}
