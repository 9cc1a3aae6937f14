export {type ErrorCode, ExitStatus, errorCodes, type StatusWord} from './codes.ts';
export {didYouMean} from './did-you-mean.ts';
export {assert, BkpError, type ErrorOptions, isDiskFull, systemCode, unreachable} from './error.ts';
export {withoutQuote} from './parser-quotes.ts';
export {asPlain, fromPlain, type PlainError, renderError, renderErrorJson} from './render.ts';
