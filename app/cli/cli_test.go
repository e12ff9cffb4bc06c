package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"crier/configs"
)

// TestMain puts this program as "crier" into PATH, for the scripts and for the tests below.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"crier": func() { os.Exit(Run(os.Args, os.Stdout, os.Stderr)) }})
}

// TestHelpNamesEverySetting: the help of every command that reads settings has the flag of each.
func TestHelpNamesEverySetting(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"serve", "-h"}, {"config", "check", "-h"}, {"config", "print", "-h"}} {
		var out, errs strings.Builder
		if code := Run(append([]string{"crier"}, args...), &out, &errs); code != exitFine || errs.Len() > 0 {
			t.Errorf("crier %v exits with %d: %s", args, code, errs.String())
		}
		for _, f := range configs.Flags() {
			if !strings.Contains(out.String(), "--"+f.Name+" "+f.Kind) || !strings.Contains(out.String(), f.Usage) {
				t.Errorf("crier %v lacks --%s", args, f.Name)
			}
		}
	}
}

// program is a running crier.
type program struct {
	*exec.Cmd
	lines *bufio.Scanner // of its log
}

// start runs crier in the directory dir, where crier.yaml is.
func start(t *testing.T, dir string, args ...string) program {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "crier", args...)
	cmd.Dir = dir
	return run(t, cmd)
}

// run starts a prepared crier.
func run(t *testing.T, cmd *exec.Cmd) program {
	t.Helper()
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return program{cmd, bufio.NewScanner(log)}
}

// await reads the log up to the first line with each of the texts, in their order, and returns the last.
func (p program) await(t *testing.T, texts ...string) string {
	t.Helper()
	for p.lines.Scan() {
		if strings.Contains(p.lines.Text(), texts[0]) {
			if texts = texts[1:]; len(texts) == 0 {
				return p.lines.Text()
			}
		}
	}
	t.Fatalf("the log ends without %q: %v", texts[0], p.lines.Err())
	return ""
}

func (p program) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// end reads the rest of the log and returns it with the exit code.
func (p program) end(t *testing.T) (log string, code int) {
	t.Helper()
	for p.lines.Scan() {
		log += p.lines.Text() + "\n"
	}
	if err := p.Wait(); err != nil && p.ProcessState == nil {
		t.Fatal(err)
	}
	return log, p.ProcessState.ExitCode()
}

// settings writes crier.yaml with free ports and the lines of more.
func settings(t *testing.T, dir, more string) {
	t.Helper()
	text := "listen: 127.0.0.1:0\napi: {listen: '127.0.0.1:0'}\n" + more
	if err := os.WriteFile(filepath.Join(dir, "crier.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestServe(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			dir := t.TempDir()
			settings(t, dir, "log: {format: json}\n")
			p := start(t, dir) // without a command
			p.await(t, `"msg":"listening"`, `"msg":"listening"`)
			p.signal(t, s)
			p.await(t, `"msg":"stopping"`)
			if log, code := p.end(t); code != exitFine {
				t.Errorf("exit code %d\n%s", code, log)
			}
		})
	}
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	settings(t, dir, "")
	p := start(t, dir, "serve")
	p.await(t, "msg=listening", "msg=listening")

	settings(t, dir, "log: {level: loud}\nwebhook: {uri: x}\n")
	p.signal(t, syscall.SIGHUP)
	p.await(t, "webhook.uri: is not a setting; did you mean webhook.url?", "log.level:")

	settings(t, dir, "log: {level: debug}\n")
	p.signal(t, syscall.SIGHUP)
	p.await(t, "level=DEBUG")

	settings(t, dir, "log: {level: debug}\norigins: [https://shop.example]\napi.keys: [sesame]\npresence: {offline_delay: 4s}\n")
	p.signal(t, syscall.SIGHUP)
	p.await(t, `settings="origins, presence.offline_delay"`)

	settings(t, dir, "log: {level: error}\n")
	p.signal(t, syscall.SIGHUP)
	p.signal(t, syscall.SIGTERM)
	if log, code := p.end(t); code != exitFine {
		t.Errorf("exit code %d\n%s", code, log)
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	settings(t, dir, "")
	p := start(t, dir, "serve", "--api.listen", taken.Addr().String())
	log, code := p.end(t)
	if code != exitRun || !strings.Contains(log, "crier: cannot listen on "+taken.Addr().String()) {
		t.Errorf("exit code %d\n%s", code, log)
	}
}

func TestStop(t *testing.T) {
	t.Run("a second signal", func(t *testing.T) {
		signals := make(chan os.Signal, 2)
		signals <- syscall.SIGHUP // has nothing to say any more
		signals <- syscall.SIGTERM
		ended := make(chan struct{})
		err := stop(func(ctx context.Context) error {
			<-ctx.Done()
			close(ended)
			return nil
		}, signals, time.Hour)
		if !errors.Is(err, errStoppedTwice) {
			t.Errorf("got %v", err)
		}
		<-ended
	})
	t.Run("bounded in time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			err := stop(func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			}, nil, time.Minute)
			if took := time.Since(began); took != time.Minute || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %s: %v", took, err)
			}
		})
	})
}

func TestLogger(t *testing.T) {
	p := configs.Default()
	p.Log.Format = "json"
	var out strings.Builder
	level := new(slog.LevelVar)
	log := newLogger(&out, p, level)
	log.Debug("hidden")
	level.Set(slog.LevelDebug)
	log.Debug("seen", "n", 1)
	if got := out.String(); strings.Contains(got, "hidden") || !strings.Contains(got, `"level":"DEBUG","msg":"seen","n":1`) {
		t.Errorf("got %s", got)
	}
	if code := Run([]string{"crier", "config", "check", "--log.format", "xml"}, io.Discard, &out); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
}
