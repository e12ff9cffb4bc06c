#compdef crier
# zsh completion of crier: source <(crier completion zsh), or this as a file _crier in $fpath
_crier() {
	local current=${words[CURRENT]}
	local -a line found
	line=(${(Q)words[1,CURRENT-1]})
	if [[ $current == -* ]]; then
		line+=($current)
	elif [[ ${line[-1]} == -* ]]; then
		_files # the value of a flag
		return
	fi
	found=(${(f)"$($line --generate-bash-completion 2>/dev/null)"})
	if (( $#found )); then
		compadd -- $found
	else
		_files
	fi
}
if [[ ${funcstack[1]} == _crier ]]; then
	_crier "$@"
else
	compdef _crier crier
fi
