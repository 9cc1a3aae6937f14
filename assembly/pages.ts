/** The module of src/sources/sqlite/pages: pages of b-trees become records, and records become pages. */
export {isRecord} from './record';
export {checkedRecords, firstRowid, lastRowid} from './pages/check-records';
export {layOut, leafCount, linkCount, pageCount, setUpLayout} from './pages/lay-out';
