# bash completion of crier: source <(crier completion bash)
_crier() {
	local current=${COMP_WORDS[COMP_CWORD]} words=("${COMP_WORDS[@]:0:COMP_CWORD}")
	COMPREPLY=()
	if [[ $current == -* ]]; then
		words+=("$current")
	elif [[ ${words[-1]} == -* ]]; then
		return # the value of a flag: files
	fi
	local IFS=$'\n'
	COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$current"))
}
complete -o default -F _crier crier
