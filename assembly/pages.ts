/** The module of src/sources/sqlite/pages: pages of b-trees become records, and records become pages. */
export {isRecord} from './record';
