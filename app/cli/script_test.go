package cli

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for what must come.
const patience = time.Minute

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// A program with the race detector otherwise sleeps for a second before it exits.
			env.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": func(ts *testscript.TestScript, _ bool, args []string) {
				if len(args) < 2 {
					ts.Fatalf("usage: code N program [args]")
				}
				wantCode(ts, args[0], args[1], args[2:])
			},
			"server": func(ts *testscript.TestScript, _ bool, args []string) { startServer(ts, args) },
			"until": func(ts *testscript.TestScript, _ bool, args []string) {
				if len(args) < 2 {
					ts.Fatalf("usage: until PATTERN program [args]")
				}
				until(ts, args[0], args[1], args[2:])
			},
		},
	})
}

// wantCode is the script command "code N program args": it fails if the program does not exit with N.
func wantCode(ts *testscript.TestScript, want, program string, args []string) {
	err := ts.Exec(program, args...)
	got := "exit status 0"
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.String()
	case err != nil:
		ts.Fatalf("%s: %v", program, err)
	}
	if got != "exit status "+want {
		ts.Fatalf("%s %q: %s, want %s", program, args, got, want)
	}
}

// until is the script command "until PATTERN program args": it runs the program until its output matches.
func until(ts *testscript.TestScript, pattern, program string, args []string) {
	re, err := regexp.Compile(pattern)
	ts.Check(err)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-ticker.C {
		ts.Check(ts.Exec(program, args...))
		if re.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%s %q: no %q within %s", program, args, pattern, patience)
}

// startServer is the script command "server flags": it runs crier serve on free ports until the script ends, and tells
// where in $CRIER_URL, the push port, and $public.
func startServer(ts *testscript.TestScript, flags []string) {
	cmd := exec.Command("crier", append([]string{"serve", "--listen", "127.0.0.1:0", "--api.listen", "127.0.0.1:0"}, flags...)...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "CRIER_API_KEYS", "CRIER_AUTH_MODE", "CRIER_AUTH_JWT_SECRET", "GORACE"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	log, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	lines := bufio.NewScanner(log)
	addresses := map[string]string{}
	var seen strings.Builder
	for len(addresses) < 2 && lines.Scan() {
		seen.WriteString(lines.Text() + "\n")
		if m := regexp.MustCompile(`msg=listening port=(\w+) addr=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			addresses[m[1]] = m[2]
		}
	}
	read := make(chan struct{})
	go func() { // or it would block
		defer close(read)
		for lines.Scan() {
		}
	}()
	ts.Defer(func() {
		err := cmd.Process.Signal(syscall.SIGTERM)
		<-read
		if err := errors.Join(err, cmd.Wait()); err != nil {
			ts.Fatalf("the server ended with %v\n%s", err, seen.String())
		}
	})
	if len(addresses) < 2 {
		ts.Fatalf("the server did not start:\n%s", seen.String())
	}
	ts.Setenv("CRIER_URL", "http://"+addresses["push"])
	ts.Setenv("public", "http://"+addresses["public"])
}
