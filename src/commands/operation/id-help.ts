/** What every command says about the ids that it takes. */
export const idHelp = 'fullbackup/1, or its number alone, or last';
