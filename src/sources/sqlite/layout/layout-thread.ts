// A thread of PageLayout: turns records into pages and writes them.
import {answerJobs, threadData} from '../../../lib/pool-thread.ts';
import type {LayoutJob, LayoutResult, LayoutThreadData} from './layout-job.ts';
import {LeafLayout} from './leaf-layout.ts';

const data = threadData<LayoutThreadData>();
const layout = new LeafLayout(data, Atomics.add(new Int32Array(data.areasTaken), 0, 1));

answerJobs((job: LayoutJob): LayoutResult => {
  try {
    return layout.layOut(job);
  } catch (error) {
    const {message, stack, code, errno, syscall} = error as NodeJS.ErrnoException;
    return {failed: {message, stack, code, errno, syscall}};
  }
});
