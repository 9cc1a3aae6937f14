// A thread of PageLayout: turns records into pages and writes them.
import {parentPort, workerData} from 'node:worker_threads';
import type {LayoutJob, LayoutResult, LayoutThreadData} from './layout-job.ts';
import {LeafLayout} from './leaf-layout.ts';

const port = parentPort!;
const data = workerData as LayoutThreadData;
const layout = new LeafLayout(data, Atomics.add(new Int32Array(data.areasTaken), 0, 1));

port.on('message', (job: LayoutJob) => {
  let result: LayoutResult;
  try {
    result = layout.layOut(job);
  } catch (error) {
    const {message, stack, code, errno, syscall} = error as NodeJS.ErrnoException;
    result = {failed: {message, stack, code, errno, syscall}};
  }
  port.postMessage(result);
});
