package rfc6455

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// A Handshake is a request, and what has to become of it (RFC 6455 §4.2).
type Handshake struct {
	Name string
	// Opens says that it opens a WebSocket, on which a message then is answered; otherwise the status is one of Refused.
	Opens   bool
	Refused []int

	offered offered
	request request
}

// offered is what has to become of an offer of compression.
type offered int

const (
	declined offered = iota // nothing is taken, as without an offer
	taken
	either // at the server's will
)

// request is what a client asks.
type request struct {
	method, version string
	header          []string
	behind          bool // the first message comes in the same segment
}

// sampleKey is that of RFC 6455 §1.3.
const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

// usual is the request of a usual client.
func usual() request {
	return request{"GET", "HTTP/1.1", []string{
		"Host: HOST", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + sampleKey,
	}, false}
}

// but is r with other header fields: lines of those names are replaced, or left out if there is nothing behind the colon.
func (r request) but(lines ...string) request {
	name := func(line string) string { before, _, _ := strings.Cut(line, ":"); return strings.ToLower(before) }
	r.header = slices.DeleteFunc(slices.Clone(r.header), func(old string) bool {
		return slices.ContainsFunc(lines, func(line string) bool { return name(line) == name(old) })
	})
	for _, line := range lines {
		if !strings.HasSuffix(line, ":") {
			r.header = append(r.header, line)
		}
	}
	return r
}

// text is the request as it is sent to t.
func (r request) text(t Target) string {
	return r.method + " " + t.Path + " " + r.version + "\r\n" +
		strings.ReplaceAll(strings.Join(append(slices.Clip(r.header), t.Header...), "\r\n"), "HOST", t.Addr) + "\r\n\r\n"
}

// accept is the header that answers a key (§4.2.2).
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Handshakes are the cases of RFC 6455 §4.
func Handshakes() []Handshake {
	all := []Handshake{{Name: "as usual", Opens: true, request: usual()}}
	good := func(name string, lines ...string) {
		all = append(all, Handshake{Name: name, Opens: true, request: usual().but(lines...)})
	}
	bad := func(name string, status []int, lines ...string) {
		all = append(all, Handshake{Name: name, Refused: status, request: usual().but(lines...)})
	}
	good("names in small letters", "connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: "+sampleKey)
	good("names in capitals", "CONNECTION: Upgrade", "UPGRADE: websocket", "SEC-WEBSOCKET-VERSION: 13", "SEC-WEBSOCKET-KEY: "+sampleKey)
	good("Upgrade: WebSocket", "Upgrade: WebSocket")
	good("Connection in small letters", "Connection: upgrade")
	good("Connection with more in it", "Connection: keep-alive, Upgrade")
	good("Connection with more behind it", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__")
	good("no space behind the colons", "Connection:Upgrade", "Upgrade:websocket", "Sec-WebSocket-Version:13", "Sec-WebSocket-Key:"+sampleKey)
	good("space around the values", "Connection: \t Upgrade \t", "Upgrade:   websocket  ", "Sec-WebSocket-Version:  13 ", "Sec-WebSocket-Key:  "+sampleKey+"  ")
	for _, key := range []string{"AAAAAAAAAAAAAAAAAAAAAA==", "/////////////////////w==", "x3JJHMbDL1EzLkh9GBhXDw=="} {
		good("the key "+key, "Sec-WebSocket-Key: "+key)
	}
	good("an extension that nobody knows", "Sec-WebSocket-Extensions: x-nothing; a=1; b")
	good("permessage-deflate, which is off", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
	good("several extensions", "Sec-WebSocket-Extensions: permessage-deflate, x-webkit-deflate-frame", "Sec-WebSocket-Extensions: permessage-bzip2")
	good("a subprotocol", "Sec-WebSocket-Protocol: chat")
	good("several subprotocols", "Sec-WebSocket-Protocol: chat, superchat")
	good("header fields that mean nothing", "X-One: 1", "Pragma: no-cache", "Cache-Control: no-cache", "User-Agent: Mozilla/5.0 (compatible)")
	good("a header of 8 KB", "X-Long: "+strings.Repeat("x", 8000))
	early := usual()
	early.behind = true
	all = append(all, Handshake{Name: "a message in the same segment", Opens: true, request: early})

	plain := []int{400, 404, 426, 200}
	bad("no Upgrade", plain, "Upgrade:")
	bad("Upgrade to something else", plain, "Upgrade: h2c")
	bad("Upgrade to a longer name", plain, "Upgrade: websockets")
	bad("no Connection", plain, "Connection:")
	bad("Connection without Upgrade", plain, "Connection: keep-alive")
	bad("no key", []int{400}, "Sec-WebSocket-Key:")
	bad("an empty key", []int{400}, "Sec-WebSocket-Key: \t")
	bad("a key of 15 bytes", []int{400}, "Sec-WebSocket-Key: "+base64.StdEncoding.EncodeToString(make([]byte, 15)))
	bad("a key of 17 bytes", []int{400}, "Sec-WebSocket-Key: "+base64.StdEncoding.EncodeToString(make([]byte, 17)))
	bad("a key of 16 bytes without padding", []int{400}, "Sec-WebSocket-Key: "+base64.RawStdEncoding.EncodeToString(make([]byte, 16)))
	bad("a key of the right length that is not base64", []int{400}, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!!==")
	bad("a key of 18 bytes, without padding", []int{400}, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA")
	bad("a key in the alphabet for addresses", []int{400}, "Sec-WebSocket-Key: _____________________w==")
	bad("two keys", []int{400}, "Sec-WebSocket-Key: "+sampleKey, "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==")
	for _, version := range []string{"0", "7", "12", "14", "255", "013", "13, 8", "x", "-13", "13.0"} {
		bad("version "+version, []int{400, 426}, "Sec-WebSocket-Version: "+version)
	}
	bad("no version", []int{400, 426}, "Sec-WebSocket-Version:")
	bad("no Host", []int{400}, "Host:")
	for _, method := range []string{"POST", "PUT", "HEAD", "DELETE", "OPTIONS"} {
		r := usual()
		r.method = method
		all = append(all, Handshake{Name: method, Refused: []int{200, 204, 400, 404, 405, 426}, request: r})
	}
	for _, version := range []string{"HTTP/1.0", "HTTP/0.9"} {
		r := usual()
		r.version = version
		all = append(all, Handshake{Name: version, Refused: []int{400, 404, 426, 500, 501, 505}, request: r})
	}
	return all
}

// RunHandshake makes the request, in one segment or byte by byte, and uses the WebSocket if there has to be one.
func RunHandshake(ctx context.Context, t Target, h Handshake, pieces bool) (err error) {
	conn, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	s := &script{wrap: t.Wrap, latest: t.LatestPong}
	t.greet(s)
	if h.offered == taken {
		s.deflates = true
		payload := s.sized(opText, 5000)
		s.pressEcho(opText, payload, press(payload, 6))
	}
	s.finish()
	if s.unfit {
		return ErrUnfit
	}
	out := &script{out: []byte(h.request.text(t))}
	if h.request.behind {
		out.out = append(out.out, s.out...)
	}
	if err := write(conn, out, pieces); err != nil && h.Opens {
		return fmt.Errorf("asking: %w", err)
	}
	in := bufio.NewReader(conn)
	if !h.Opens {
		return h.refused(in)
	}
	if err := h.opened(in); err != nil {
		return err
	}
	s.deflates = h.offered != declined
	if !h.request.behind {
		if _, err := conn.Write(s.out); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	return s.compare(in)
}

// opened checks the answer (§4.2.2).
func (h Handshake) opened(in *bufio.Reader) error {
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(resp.Body)
		return errors.Join(fmt.Errorf("status %s, %q", resp.Status, body), err, resp.Body.Close())
	}
	key := ""
	for _, line := range h.request.header {
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "Sec-WebSocket-Key") {
			key = strings.TrimSpace(value)
		}
	}
	if got := resp.Header.Get("Sec-WebSocket-Accept"); got != accept(key) {
		err = fmt.Errorf("the header Sec-WebSocket-Accept is %q, want %q", got, accept(key))
	}
	if !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") || !strings.EqualFold(resp.Header.Get("Connection"), "upgrade") {
		err = errors.Join(err, fmt.Errorf("the header Upgrade is %q, Connection %q", resp.Header.Get("Upgrade"), resp.Header.Get("Connection")))
	}
	err = errors.Join(err, h.accepted(resp.Header.Values("Sec-WebSocket-Extensions")))
	offered := strings.Join(h.request.header, "\n")
	if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != "" && !strings.Contains(offered, got) {
		err = errors.Join(err, fmt.Errorf("the subprotocol %q, which was not offered", got))
	}
	return errors.Join(err, resp.Body.Close())
}

// accepted checks what is answered to an offer (RFC 7692 §7.1): one extension, with each parameter once, of those that a server may name.
func (h Handshake) accepted(fields []string) error {
	if len(fields) == 0 && h.offered != taken {
		return nil
	}
	if len(fields) != 1 || h.offered == declined {
		return fmt.Errorf("the extensions %q", fields)
	}
	offer := strings.Join(h.request.header, "\n")
	name, params, _ := strings.Cut(fields[0], ";")
	if name != "permessage-deflate" {
		return fmt.Errorf("the extension %q", name)
	}
	seen := map[string]bool{}
	for param := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		good := !seen[key]
		seen[key] = true
		switch key {
		case "", "server_no_context_takeover", "client_no_context_takeover":
			good = good && value == ""
		case "server_max_window_bits", "client_max_window_bits":
			good = good && slices.Contains([]string{"8", "9", "10", "11", "12", "13", "14", "15"}, value)
			good = good && (key[0] == 's' || strings.Contains(offer, key))
		default:
			good = false
		}
		if !good {
			return fmt.Errorf("the parameter %q", param)
		}
	}
	if strings.Contains(offer, "server_no_context_takeover") && !seen["server_no_context_takeover"] { // §7.1.1.1: who takes the offer names it
		return fmt.Errorf("%q has no server_no_context_takeover", fields[0])
	}
	return nil
}

// refused checks that there is no WebSocket.
func (h Handshake) refused(in *bufio.Reader) error {
	minor, status := 0, 0
	line, err := in.ReadString('\n')
	if _, serr := fmt.Sscanf(line, "HTTP/1.%d %d", &minor, &status); err != nil && serr != nil {
		if errors.Is(err, io.EOF) && line == "" {
			return nil // the connection is ended, which is a refusal too
		}
		return fmt.Errorf("reading the answer %q: %w", line, err)
	}
	if !slices.Contains(h.Refused, status) {
		return fmt.Errorf("answered %q, want one of %v", line, h.Refused)
	}
	return nil
}
