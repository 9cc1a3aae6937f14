// A thread of PageThreads: extracts one run after the other.
import {answerJobs, threadData} from '../../../lib/pool-thread.ts';
import {TakeRows} from '../../take-rows.ts';
import {type Extraction, Extractor} from './extractor.ts';
import {PageFault} from './page-fault.ts';
import type {KeyRun, PageFiles, RowidRun} from './page-files.ts';

export type PageThreadData = {files: PageFiles; module: WebAssembly.Module; memory: WebAssembly.Memory};
export type PageJob = {run: RowidRun | KeyRun; slot: number};
/** Errors lose their class on the way between threads. */
export type PageAnswer =
  | ({kind: 'extraction'} & Extraction)
  | {kind: 'fault'; page: number; what: string}
  | {kind: 'take-rows'; reason: string}
  | {kind: 'failure'; message: string; code: unknown};

const {files, module, memory} = threadData<PageThreadData>();
const extractor = new Extractor(files, {module, memory});

answerJobs(answer);

function answer({run, slot}: PageJob): PageAnswer {
  try {
    return {kind: 'extraction', ...extractor.extract(run, slot)};
  } catch (error) {
    if (error instanceof PageFault) return {kind: 'fault', page: error.page, what: error.what};
    if (error instanceof TakeRows) return {kind: 'take-rows', reason: error.message};
    return {kind: 'failure', message: (error as Error).message, code: (error as {code?: unknown}).code};
  }
}
