package rfc6455

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"crier/app"
	"crier/configs"
)

// mirror is the envelope of a server that sends back what it gets: none.
type mirror struct{}

func (mirror) Message(_ int, content []byte, _ bool) (message []byte, at int, ok bool) {
	return content, 0, true
}

func (mirror) Sized(_, size int, _ bool) (message []byte, ok bool) {
	return bytes.Repeat([]byte("*"), size), true
}

func (mirror) Answered(_ int, message []byte, binary bool, answer []byte, answerBinary bool) bool {
	return binary == answerBinary && bytes.Equal(message, answer)
}

// inside puts content between what comes before and behind it; n is in both the message and the answer, as the number of
// an acknowledgement. The content has to be fit for a JSON string.
type inside struct {
	before, behind, answer string
	binary                 bool // it may come in binary frames, too
}

func (e inside) Message(n int, content []byte, binary bool) (message []byte, at int, ok bool) {
	message = fmt.Appendf(nil, e.before, n)
	at = len(message)
	message = append(append(message, content...), e.behind...)
	unfit := bytes.ContainsFunc(content, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' })
	return message, at, (e.binary || !binary) && !unfit
}

func (e inside) Sized(n, size int, binary bool) (message []byte, ok bool) {
	least, _, ok := e.Message(n, nil, binary)
	if size < len(least) || !ok {
		return bytes.Repeat([]byte("*"), size), false
	}
	message, _, ok = e.Message(n, bytes.Repeat([]byte("*"), size-len(least)), binary)
	return message, ok
}

func (e inside) Answered(n int, _ []byte, _ bool, answer []byte, answerBinary bool) bool {
	return !answerBinary && strings.HasPrefix(string(answer), fmt.Sprintf(e.answer, n))
}

// line is the envelope of /v1/stream, whose answers have the result of a push and come in order. What is no UTF-8 is no push.
type line struct{ inside }

func (line) Answered(_ int, message []byte, _ bool, answer []byte, answerBinary bool) bool {
	want := `{"matched":`
	if !utf8.Valid(message) {
		want = `{"type":"urn:crier:problem:bad_json"`
	}
	return !answerBinary && bytes.HasPrefix(answer, []byte(want))
}

// serve starts a server of this tree.
func serve(t *testing.T, adapt func(*configs.Config)) *app.App {
	t.Helper()
	cfg := configs.Default()
	cfg.Listen, cfg.API.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Presence.CountEvent, cfg.Store.Path = "off", ""
	adapt(cfg)
	a, err := app.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	return a
}

// crier is a server of this tree, and what of it speaks WebSocket, without TLS and with it, where connections are read in another
// way. If it compresses, only what of it does.
func crier(t *testing.T, deflates bool) map[string]Target {
	t.Helper()
	compress := func(c *configs.Config) {
		c.SocketIO.PerMessageDeflate, c.API.MaxBody = deflates, maxPayload
		c.API.Keys = []string{"key"} // some requests of the suite are as of a browser, which needs one
	}
	a := serve(t, compress)
	cert, key := certificate(t)
	secure := serve(t, func(c *configs.Config) {
		compress(c)
		c.TLS.Cert, c.TLS.Key = cert, key
	})
	event := inside{`42%d["login","`, `"]`, `43%d[`, false}
	targets := map[string]Target{
		"socketio":     {Addr: a.Addr(), Path: "/socket.io/?EIO=4&transport=websocket", Wrap: event, Hello: []string{"40"}, Welcome: 2},
		"socketio-3":   {Addr: a.Addr(), Path: "/socket.io/?EIO=3&transport=websocket", Wrap: event, Welcome: 2},
		"socketio-tls": {Addr: secure.Addr(), Path: "/socket.io/?EIO=4&transport=websocket", Wrap: event, Hello: []string{"40"}, Welcome: 2, TLS: &tls.Config{InsecureSkipVerify: true}, LatestPong: true},
	}
	if !deflates {
		plain := inside{`{"ack":%d,"event":"x","args":["`, `"]}`, `{"ack":%d,`, true}
		targets["ws"] = Target{Addr: a.Addr(), Path: "/ws", Wrap: plain}
		targets["ws-tls"] = Target{Addr: secure.Addr(), Path: "/ws", Wrap: plain, TLS: &tls.Config{InsecureSkipVerify: true}, LatestPong: true}
		targets["sockjs-raw"] = Target{Addr: a.Addr(), Path: "/sockjs/websocket", Wrap: plain}
		targets["sockjs"] = Target{Addr: a.Addr(), Path: "/sockjs/000/session/websocket", Wrap: inside{`["{\"ack\":%d,\"event\":\"x\",\"args\":[\"`, `\"]}"]`, `a["{\"ack\":%d,`, true}, Welcome: 1}
		targets["stream"] = Target{Addr: a.PushAddr(), Path: "/v1/stream", Wrap: line{inside{`{"event":"e%d","dry_run":true,"to":{"users":["nobody"]},"data":"`, `"}`, "", true}}, Header: []string{"X-Api-Key: key"}, LatestPong: true}
	}
	return targets
}

// certificate writes a certificate for this machine, and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	public, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", public), write("key.pem", "PRIVATE KEY", secret)
}

// npmWS is a server of npm's ws that sends back what it gets.
func npmWS(t *testing.T, args ...string) Target {
	t.Helper()
	missing := func(what string) {
		if os.Getenv("CI") == "true" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("node is missing: apt-get install nodejs npm")
	}
	if _, err := os.Stat(filepath.Join("..", "node_modules", "ws")); err != nil {
		missing("the npm packages are missing: run npm ci in e2e/")
	}
	cmd := exec.Command(node, append([]string{"mirror.mjs"}, args...)...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe() // it ends with this
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stdin.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	var hello struct{ Addr string }
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &hello)
	}
	if err != nil {
		t.Fatalf("mirror.mjs printed %q: %v", line, err)
	}
	return Target{Addr: hello.Addr, Path: "/", Wrap: mirror{}}
}
