/** The shells that bkp can complete in, in the order of the help. */
export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

// Each script hands the words typed so far to `bkp __complete`, the last one being the one under the cursor,
// and takes one candidate a line. A candidate may be any name: none of the scripts lets the shell expand it.
// Where there is no candidate, the shell completes file names as usual.

/** Works with the bash 3.2 of macOS: it has no `mapfile`. */
const bash = `# bash completion for bkp. Put this into ~/.bashrc: source <(bkp completion bash)
_bkp() {
  local candidate quoted
  COMPREPLY=()
  while IFS= read -r candidate; do
    printf -v quoted %q "$candidate"
    COMPREPLY+=("$quoted")
  done < <(bkp __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _bkp bkp
`;

const zsh = `#compdef bkp
# zsh completion for bkp. Put this into ~/.zshrc, after compinit: source <(bkp completion zsh)
_bkp() {
  local -a candidates
  candidates=("\${(@f)$(bkp __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${candidates[1]}" ]]; then
    compadd -- "\${candidates[@]}"
  else
    _files
  fi
}
compdef _bkp bkp
`;

const fish = `# fish completion for bkp. Save it: bkp completion fish > ~/.config/fish/completions/bkp.fish
function __bkp_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l candidates (bkp __complete -- $words[2..-1] "$current" 2>/dev/null)
  if test (count $candidates) -gt 0
    printf '%s\\n' $candidates
  else
    __fish_complete_path "$current"
  end
end
complete -c bkp -f -a '(__bkp_complete)'
`;

export const completionScripts: Readonly<Record<Shell, string>> = {bash, zsh, fish};
