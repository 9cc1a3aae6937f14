/** The module of src/sources/sqlite/pages: pages of b-trees become records, and records become pages. */
export {isRecord} from './record';
export {beginKeys, beginRowids, stoppedAt, takeKeyLeaf, takeRowidLeaf, takeSeparator} from './pages/extract';
export {setFile} from './pages/leaf';
export {lastAt, lastQualifies, marksEnd} from './pages/marks';
export {fault} from './pages/outcome';
export {outputEnd, records} from './pages/output';
export {addContent, beginContent, contentHigh, contentLow, hasOddKey} from './pages/content';
export {checkedRecords, firstRowid, lastRowid} from './pages/check-records';
export {layOut, leafCount, linkCount, pageCount, setUpLayout} from './pages/lay-out';
