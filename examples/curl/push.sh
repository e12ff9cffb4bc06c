#!/bin/sh
# Pushes an event to a user: push.sh UID EVENT JSON
#   CRIER_KEY=… ./push.sh 42 order.shipped '{"order":7}'
# CRIER_URL is Crier's push port, http://127.0.0.1:2121 unless set; CRIER_KEY a key of api.keys, if one is needed.
set -eu

if [ $# -ne 3 ]; then
	echo 'usage: push.sh UID EVENT JSON' >&2
	exit 2
fi
case $1$2 in
*[\"\\[:cntrl:]]*)
	echo 'push.sh: the uid and the event must not have quotes, backslashes or control characters' >&2
	exit 2
	;;
esac

# The id makes it harmless that curl tries again: the same id is pushed once.
id=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
message='{"id":"'$id'","to":{"users":["'$1'"]},"event":"'$2'","data":'$3'}'

# The key goes through a pipe: other users of this machine can read the arguments of every program. An error is answered
# with {"title","status","detail","code"}, which --fail-with-body prints; curl then exits with 22.
if [ -n "${CRIER_KEY:-}" ]; then
	printf 'Authorization: Bearer %s\n' "$CRIER_KEY"
fi | curl --silent --show-error --fail-with-body --connect-timeout 3 --max-time 10 \
	--retry 3 --retry-connrefused --retry-max-time 20 \
	--header @- --header 'Content-Type: application/json' \
	--data-binary "$message" "${CRIER_URL:-http://127.0.0.1:2121}/v1/push"
echo
