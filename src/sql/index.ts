export {quoteName} from '../lib/statement-name.ts';
export {keywords} from './keywords.ts';
export {isComplete, type Lexeme, lexemes} from './lexemes.ts';
export {backupRef, collectionName, quoteText, storedTableName, tableName} from './names.ts';
export {parse} from './parse.ts';
export type {
  AlterAction,
  BackupRef,
  ChosenTable,
  Members,
  Name,
  Place,
  Setting,
  Statement,
  StatementBody,
  WantedBackup,
} from './statement.ts';
export {backupCollection, backupDatabase, typeWords, verifyCollection, verifyDatabase} from './write.ts';
