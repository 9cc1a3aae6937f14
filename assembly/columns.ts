/** The module of src/vault/codec/columns: records arranged by column, and back. */
export {isRecord} from './record';
