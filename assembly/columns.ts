/** The module of src/vault/codec/columns: records arranged by column, and back. */
export {join} from './columns/join';
export {split} from './columns/split';
