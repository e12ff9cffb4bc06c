package cli

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// startWith runs crier serve with sockets that have names, separated by colons, as systemd starts a service, and tells
// it when the program is ready, on a socket of that name.
func startWith(t *testing.T, dir, names, ready string, sockets ...*os.File) program {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "LISTEN_PID=$$ exec crier serve")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LISTEN_FDNAMES="+names, "LISTEN_FDS="+strconv.Itoa(len(sockets)), "NOTIFY_SOCKET="+ready)
	cmd.ExtraFiles = sockets // from file descriptor 3 on
	return run(t, cmd)
}

// opened opens a socket as systemd does, and returns it with its address.
func opened(t *testing.T, network, address string) (*os.File, string) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	if unix, is := l.(*net.UnixListener); is {
		unix.SetUnlinkOnClose(false)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return f, l.Addr().String()
}

// TestActivation: a server serves on the sockets that it was started with. While it restarts they stay, so that who
// calls is not refused but waits.
func TestActivation(t *testing.T) {
	dir := t.TempDir()
	settings(t, dir, "")
	public, publicAddr := opened(t, "tcp", "127.0.0.1:0")
	push, pushAddr := opened(t, "tcp", "127.0.0.1:0")
	states, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer states.Close()
	wantState := func(want string) {
		t.Helper()
		state := make([]byte, 100)
		if n, err := states.Read(state); err != nil || string(state[:n]) != want {
			t.Errorf("systemd was told %q, %v, want %s", state[:n], err, want)
		}
	}

	p := startWith(t, dir, "push:public", filepath.Join(dir, "notify"), push, public)
	p.await(t, "port=public addr="+publicAddr, "port=push addr="+pushAddr)
	wantState("READY=1")
	for _, address := range []string{publicAddr, pushAddr} {
		wantHealthy(t, address)
	}
	p.signal(t, syscall.SIGTERM)
	wantState("STOPPING=1\nEXTEND_TIMEOUT_USEC=35000000")
	if log, code := p.end(t); code != exitFine {
		t.Fatalf("exit code %d\n%s", code, log)
	}

	early, err := net.Dial("tcp", publicAddr)
	if err != nil {
		t.Fatalf("nobody listens between two starts: %v", err)
	}
	defer early.Close()
	if _, err := io.WriteString(early, "GET /healthz HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	p = startWith(t, dir, "public", "", public)
	p.await(t, "port=public addr="+publicAddr, "port=push addr=127.0.0.1:")
	if answer, err := io.ReadAll(early); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 200") {
		t.Errorf("who called before the start got %q, %v", answer, err)
	}
	p.signal(t, syscall.SIGTERM)
	if log, code := p.end(t); code != exitFine {
		t.Errorf("exit code %d\n%s", code, log)
	}
}

// wantHealthy asks for /healthz.
func wantHealthy(t *testing.T, address string) {
	t.Helper()
	resp, err := http.Get("http://" + address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s answers %s, %v", address, resp.Status, err)
	}
}

// TestActivationMistakes: a socket that is not for a port stops the start with a sentence about its unit.
func TestActivationMistakes(t *testing.T) {
	one, _ := opened(t, "tcp", "127.0.0.1:0")
	two, _ := opened(t, "tcp", "127.0.0.1:0")
	local, _ := opened(t, "unix", filepath.Join(t.TempDir(), "crier"))
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, test := range []struct {
		name, settings, names string
		sockets               []*os.File
		want                  string
	}{
		{"unknown name", "", "crier.socket", []*os.File{one}, `a socket named "crier.socket", and there is no such port: FileDescriptorName= must be public or push`},
		{"no push port", "listen: 127.0.0.1:65001\napi: {listen: '127.0.0.1:65001', keys: [sesame]}\n", "public:push", []*os.File{one, two}, `a socket named "push", and there is no such port: FileDescriptorName= must be public`},
		{"twice", "", "public:public", []*os.File{one, two}, `two sockets named "public"`},
		{"not TCP", "", "public", []*os.File{local}, `its ListenStream= must be a TCP port`},
		{"not a socket", "", "public", []*os.File{file}, `cannot use the socket "public" that systemd opened`},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			settings(t, dir, "")
			if test.settings != "" {
				if err := os.WriteFile(filepath.Join(dir, "crier.yaml"), []byte(test.settings), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			log, code := startWith(t, dir, test.names, "", test.sockets...).end(t)
			if code != exitRun || !strings.Contains(log, test.want) {
				t.Errorf("exit code %d, want %q in\n%s", code, test.want, log)
			}
		})
	}
}

// TestActivationElsewhere: the socket counts, and a setting that says something else is told of.
func TestActivationElsewhere(t *testing.T) {
	dir := t.TempDir()
	settings(t, dir, "")
	public, _ := opened(t, "tcp", "127.0.0.1:0")
	p := startWith(t, dir, "public", "", public)
	p.await(t, "systemd opened another port than the setting says", "msg=listening")
	p.signal(t, syscall.SIGTERM)
	if log, code := p.end(t); code != exitFine {
		t.Errorf("exit code %d\n%s", code, log)
	}
}
