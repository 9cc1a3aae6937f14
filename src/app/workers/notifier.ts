import {asPlain} from '../../errors/index.ts';
import type {EndOfOperation, NotifyTargets} from '../../notify/index.ts';
import {
  isBackupKind,
  type Operation,
  type OperationEvent,
  operationId,
  statusOf,
  subjectName,
} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {targetsOfWorker} from './notify-variables.ts';

/** Sends notifications at the start and at the end of an operation. */
export type Notifier = {
  began: (event: OperationEvent) => void;
  ended: (event: OperationEvent) => Promise<void>;
};

/**
 * A notification that fails is logged and added to the operation as a notice; it changes nothing else.
 * @param json the operation as `bkp operation get --format json` prints it
 */
export function notifierOf(deps: Deps, json: (operation: Operation) => string): Notifier {
  let beginning: Promise<string | undefined> | undefined;

  return {
    began({operation}) {
      if (isBackupKind(operation.kind)) beginning = begin().catch(inWords);
    },
    async ended({operation, log}) {
      // A monitor measures the time between the two, so they must arrive in order.
      const faults = [await beginning, ...(await end(operation).catch((error) => [inWords(error)]))];
      for (const fault of faults.filter((text) => text !== undefined)) {
        log(fault);
        const journal = await deps.journal();
        await journal.addNotice(operation.number, fault);
      }
    },
  };

  async function begin(): Promise<string | undefined> {
    const targets = await targetsOfWorker(deps);
    // Loaded here, with fetch, because most workers have no target to notify.
    if (targets.heartbeat === undefined) return undefined;
    const {tellStart} = await import('../../notify/index.ts');
    return tellStart(targets);
  }

  async function end(operation: Operation): Promise<string[]> {
    const targets = await targetsOfWorker(deps);
    if (Object.keys(targets).length === 0) return [];
    const {commandEnvironment, tellEnd} = await import('../../notify/index.ts');
    const env = {...commandEnvironment(deps.env), ...variablesOf(operation)};
    return tellEnd(targets, {...factsOf(operation), json: json(operation), env});
  }
}

function factsOf(operation: Operation): Pick<EndOfOperation, 'succeeded' | 'isBackup'> {
  return {
    succeeded: statusOf(operation) === 'SUCCESS',
    isBackup: isBackupKind(operation.kind),
  };
}

function variablesOf(operation: Operation): Record<string, string> {
  return {
    BKP_OPERATION_ID: operationId(operation),
    BKP_STATUS: statusOf(operation),
    BKP_KIND: operation.kind,
    BKP_SUBJECT: subjectName(operation.subject),
  };
}

function inWords(error: unknown): string {
  const {message, cause} = asPlain(error);
  return `the notifications could not be sent: ${message}${cause === undefined ? '' : `: ${cause}`}`;
}

/** Whether a target wants to know this outcome. */
export function hasListener(targets: NotifyTargets, operation: Operation): boolean {
  const {succeeded, isBackup} = factsOf(operation);
  return (
    (succeeded ? targets.onSuccess : targets.onFailure) !== undefined || (isBackup && targets.heartbeat !== undefined)
  );
}
