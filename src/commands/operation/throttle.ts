import {Command} from 'commander';
import {requireOrder} from '../../app/orders/work-order.ts';
import type {Workplace} from '../../app/places/workplace.ts';
import {parseRate} from '../../config/index.ts';
import {BkpError, ExitStatus} from '../../errors/index.ts';
import {type LimitsChange, type Operation, type OperationRef, operationId, parseOperationId} from '../../ops/index.ts';
import type {CommandDeps} from '../deps.ts';
import {helpTail} from '../help.ts';
import {idHelp} from './id-help.ts';

export type OperationThrottleOptions = {ref: OperationRef; change: LimitsChange};

type Flags = {upload?: boolean; download?: boolean};

export function operationThrottle(deps: CommandDeps, run = runOperationThrottle): Command {
  return new Command('throttle')
    .description('Limit the upload and download rate of a queued or running operation on an object store.')
    .argument('<id>', idHelp)
    .argument('<rate>', 'bytes per second: 10MB, 512KiB, or off')
    .option('--upload', 'change only the upload limit')
    .option('--download', 'change only the download limit')
    .addHelpText(
      'after',
      helpTail(
        ['bkp operation throttle last 10MB', 'bkp operation throttle fullbackup/1 off --upload'],
        ['done', 'usage', 'notFound', 'refused'],
      ),
    )
    .action(async (id: string, rate: string, flags: Flags) => {
      deps.exitWith(await run(deps, {ref: parseOperationId(id), change: changeOf(rate, flags)}));
    });
}

/** Returns when the journal has the change; the worker reads the limits a few times a second. */
export async function runOperationThrottle(deps: CommandDeps, options: OperationThrottleOptions): Promise<ExitStatus> {
  const {ref, change} = options;
  const journal = await deps.journal();
  const operation = await journal.find(ref);
  await journal.throttle(operation.number, {change, before: placeOf(operation)?.limits ?? {}});
  return ExitStatus.done;
}

/** Without options, or with both, the rate applies to both directions. */
function changeOf(text: string, {upload = false, download = false}: Flags): LimitsChange {
  const rate = parseRate(text) ?? null;
  return {
    ...(upload || !download ? {uploadBytesPerSecond: rate} : {}),
    ...(download || !upload ? {downloadBytesPerSecond: rate} : {}),
  };
}

/**
 * The place with an object store. Undefined for a finished operation, which the journal refuses: one that was refused
 * before it began has no work.
 * @throws BkpError `PRECONDITION` when all its stores are directories, on which a limit has no effect
 */
function placeOf(operation: Operation): Workplace | undefined {
  if (operation.state.name === 'done') return undefined;
  const order = requireOrder(operation);
  const places = order.do === 'copy' ? [order.place, order.to] : [order.place];
  const found = places.find(({store}) => store.kind === 's3');
  if (found !== undefined) return found;
  throw new BkpError('PRECONDITION', `${operationId(operation)} uses a directory, not an object store`, {
    cause: 'limits apply only to network traffic',
    next: `bkp operation get ${operationId(operation)} shows how far it is`,
  });
}
