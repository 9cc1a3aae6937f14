/** Help for every argument that takes an operation id. */
export const idHelp = 'fullbackup/1, or its number alone, or last';
