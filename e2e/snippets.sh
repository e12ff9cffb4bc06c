# What stands before each block of the documents that TestSnippets runs: the commands as they are written, but with the server under
# test ($PUBLIC and $PUSH, host:port, and $SERVER, its process), and to an end where they would go on until Ctrl-C.

# here puts the server under test into words. A comet poll does not wait.
here() {
	words=()
	local word
	for word in "$@"; do
		word=${word//127.0.0.1:2120/$PUBLIC}
		word=${word/'/comet?'/'/comet?wait=0&'}
		words+=("${word//127.0.0.1:2121/$PUSH}")
	done
}

# until_it_says runs a program until it has printed what matches, and ends it. (The shell has it ignore SIGINT, behind its &.)
until_it_says() {
	local pattern=$1 out
	shift
	out=$(mktemp)
	"$@" >"$out" 2>&1 &
	local pid=$!
	until grep -q "$pattern" "$out"; do
		kill -0 $pid 2>/dev/null || { cat "$out"; echo "it ended by itself: $*"; return 1; }
		sleep 0.02
	done
	kill -TERM $pid
	wait $pid || { local code=$?; cat "$out"; return $code; }
}

crier() {
	here "$@"
	case ${words[0]-} in
	'' | --*) until_it_says 'port=push' "$CRIER" "${words[@]}" --listen 127.0.0.1:0 --api.listen 127.0.0.1:0 --store.path memory ;;
	listen) until_it_says 'listening' "$CRIER" "${words[@]}" --url "http://$PUBLIC" ;;
	demo) until_it_says 'Ctrl-C' "$CRIER" "${words[@]}" ;;
	bench)
		local n
		for n in "${!words[@]}"; do
			[[ ${words[n]} =~ ^[0-9]+$ && ${words[n - 1]} == --clients ]] && words[n]=3
			[[ ${words[n - 1]} == --duration ]] && words[n]=100ms
		done
		set -- "${words[@]}"
		[[ " $* " == *' --duration '* || $2 == storm ]] || set -- "$@" --duration 100ms
		case $2 in broadcast | push | polling | sse) set -- "$@" --push-url "http://$PUSH" ;; esac
		"$CRIER" "$@" --url "http://$PUBLIC"
		;;
	*) "$CRIER" "${words[@]}" ;;
	esac
}

curl() {
	here "$@"
	if [[ " $* " == *' -N '* ]]; then
		until_it_says . command curl -sS "${words[@]}" || [ $? = 143 ]
	else
		command curl -sS --fail-with-body "${words[@]}"
	fi
}

tail() { [ "$1" = -f ] && shift; command tail "$@"; }
pgrep() { echo "$SERVER"; }
make() { command make --no-print-directory -n -C "$ROOT" "$@" >/dev/null; } # says what it would do: fails for what there is not
