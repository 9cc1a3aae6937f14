export {commandEnvironment} from './command-environment.ts';
export {type EndOfOperation, type NotifyTargets, tellEnd, tellStart} from './tell.ts';
