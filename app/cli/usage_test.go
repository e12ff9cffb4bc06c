package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What cannot be is told in one sentence, without a secret, before anybody is called.
func TestWrongUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("empty.txt", []byte(" \n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const nowhere = "http://127.0.0.1:1"
	for _, c := range []struct {
		code int
		args []string
		want string // pattern of the first line
	}{
		{2, []string{"push", "hi"}, `^crier: push needs somebody to push to: --to UID, --room ROOM or --all$`},
		{2, []string{"push", "--to", "42"}, `^crier: push needs a message: `},
		{2, []string{"push", "--to", "42", "two", "words"}, `^crier: push takes one TEXT: quote one of several words, and put flags before it$`},
		{2, []string{"push", "--to", "42", "hi", "--json"}, `and put flags before it$`},
		{2, []string{"push", "--to", "42", "--data", "{sesame"}, `^crier: the data is not JSON: `},
		{2, []string{"push", "--to", "42", "\xff"}, `^crier: the text is not UTF-8$`},
		{2, []string{"push", "--to", "42", "--data", "1", "text"}, `not both$`},
		{2, []string{"push", "--to", "42", "--ack", "never", "hi"}, `^crier: invalid value`},
		{2, []string{"push", "--to", "42", "--ack", "-1s", "hi"}, `not negative$`},
		{2, []string{"push", "--to", "42", "--id", "x", "-"}, `^crier: --id names one message, and not all lines$`},
		{2, []string{"push", "--uid", "42", "hi"}, `^crier: --uid: is not a flag of crier push; did you mean --id\?$`},
		{2, []string{"push", "--url", "localhost:2121", "--to", "42", "hi"}, `^crier: the URL of the push port is not of the form `},
		{1, []string{"push", "--url", nowhere, "--to", "42", "hi"}, `^crier: the push port cannot be reached: .*connection refused: is the server running, and its push port at http://127.0.0.1:1\? \(--url, \$CRIER_URL\)$`},
		{1, []string{"push", "--url", nowhere, "--to", "42", "-"}, `is the server running`},
		{2, []string{"users", "1", "2"}, `^crier: users takes one UID at most, and flags before it$`},
		{1, []string{"users", "--url", nowhere}, `is the server running`},
		{2, []string{"rooms", ""}, `^crier: ROOM is empty$`},
		{2, []string{"stats", "now"}, `^crier: stats takes no argument$`},
		{2, []string{"stats", "--key", "sesame"}, `^crier: --key: is not a flag, since every user of the machine can read a command line: use --key-file, \$CRIER_KEY_FILE or \$CRIER_KEY$`},
		{2, []string{"stats", "--key-file", "sesame"}, `^crier: the file for \$CRIER_KEY cannot be used: no such file or directory$`},
		{2, []string{"stats", "--key-file", "empty.txt"}, `it is empty$`},
		{2, []string{"token"}, `^crier: token needs --uid UID$`},
		{2, []string{"token", "42"}, `^crier: token takes no argument: `},
		{2, []string{"token", "--uid", "42"}, `^crier: auth.jwt.secret is not set, .*: set it and auth.mode jwt `},
		{2, []string{"token", "--uid", "42", "--expires", "0s"}, `^crier: --expires takes a second or more$`},
		{2, []string{"token", "--uid", "42", "--auth.jwt.secret", "sesame"}, `^crier: --auth.jwt.secret: is not a flag, .*: use --auth.jwt.secret_file, `},
		{2, []string{"listen"}, `^crier: listen needs --uid UID, or a token in --token-file or \$CRIER_TOKEN$`},
		{2, []string{"listen", "42"}, `^crier: listen takes no argument: `},
		{2, []string{"listen", "--uid", "42", "--token", "sesame"}, `^crier: --token: is not a flag, .*: use --token-file, \$CRIER_TOKEN_FILE or \$CRIER_TOKEN$`},
		{2, []string{"listen", "--uid", "42", "--token-file", "sesame"}, `no such file`},
		{1, []string{"listen", "--url", nowhere, "--uid", "42"}, `^crier: connecting: .*connection refused: is the server running, and its public port at http://127.0.0.1:1\? \(--url\)$`},
		{2, []string{"bench"}, `^crier: bench needs what is to be measured: idle, broadcast, `},
		{2, []string{"bench", "everything"}, `^crier: "everything" is nothing that is measured: idle, `},
		{2, []string{"bench", "push", "42"}, `^crier: bench push takes no argument$`},
		{2, []string{"bench", "push", "--key", "sesame"}, `^crier: --key: is not a flag, .*: use --key-file, `},
		{2, []string{"bench", "push", "--client", "1"}, `^crier: --client: is not a flag of crier bench push; did you mean --clients\?$`},
		{2, []string{"bench", "push", "--via", "pigeon"}, `^crier: pushes are made by keep-alive, new, batch, lines or stream, not by "pigeon"$`},
		{2, []string{"bench", "idle", "--server", "apache"}, `^crier: --server "apache" is not known: centrifuge, crier, `},
		{2, []string{"bench", "idle", "--from", "here"}, `^crier: --from "here" is no address$`},
		{2, []string{"bench", "idle", "--url", "https://example.com"}, `TLS is not measured`},
		{2, []string{"bench", "idle", "--eio", "5"}, `^crier: there is no Engine.IO revision 5 here`},
		{2, []string{"completion"}, `^crier: completion takes a shell: bash, zsh, fish or powershell$`},
		{2, []string{"completion", "csh"}, `^crier: there is no completion for "csh": bash, zsh, fish and powershell have one$`},
	} {
		t.Run(filepath.Join(c.args...), func(t *testing.T) {
			var out, errs strings.Builder
			if code := Run(append([]string{"crier"}, c.args...), &out, &errs); code != c.code || out.Len() > 0 {
				t.Errorf("exit code %d, printed %q", code, out.String())
			}
			first, _, _ := strings.Cut(errs.String(), "\n")
			if !regexp.MustCompile(c.want).MatchString(first) {
				t.Errorf("said %q, want %q", first, c.want)
			}
			if strings.Contains(errs.String(), "sesame") {
				t.Errorf("a secret is in %q", errs.String())
			}
		})
	}
}

func TestHelpHasExamples(t *testing.T) {
	for _, name := range []string{"demo", "push", "users", "rooms", "stats", "listen", "token", "bench", "completion"} {
		var out, errs strings.Builder
		if code := Run([]string{"crier", name, "-h"}, &out, &errs); code != exitFine || !strings.Contains(out.String(), "Examples:\n") || errs.Len() > 0 {
			t.Errorf("%s: exit code %d: %s%s", name, code, out.String(), errs.String())
		}
	}
}
