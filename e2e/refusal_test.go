package e2e

import (
	"encoding/json"
	"net/http"
	"testing"
)

// upgradeHeader is the header of a WebSocket handshake.
func upgradeHeader(more http.Header) http.Header {
	h := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	for name, values := range more {
		h[name] = values
	}
	return h
}

// A refusal is a request and the answer it has to get.
type refusal struct {
	name    string
	method  string
	query   string
	header  http.Header
	status  int
	code    int
	phrases []string
}

// refusals are the requests that no server grants.
func refusals() []refusal {
	foreign := http.Header{"Origin": {"http://evil.example"}, "Host": {"shop.example"}}
	origin := []string{"http://evil.example", "shop.example", "origins", "proxy_set_header Host"}
	return []refusal{
		{"unknown transport", "GET", "EIO=4&transport=carrier", nil, 400, 0, []string{"Transport unknown", "carrier"}},
		{"transport that Object has", "GET", "EIO=4&transport=constructor", nil, 400, 0, []string{"Transport unknown"}},
		{"no transport", "GET", "EIO=4", nil, 400, 0, []string{"Transport unknown"}},
		{"unknown sid, polling", "GET", "EIO=4&transport=polling&sid=nobodys", nil, 400, 1, []string{"Session ID unknown"}},
		{"unknown sid, post", "POST", "EIO=3&transport=polling&sid=nobodys", nil, 400, 1, []string{"Session ID unknown"}},
		{
			"unknown sid, websocket", "GET", "EIO=4&transport=websocket&sid=nobodys", upgradeHeader(nil), 400, 1,
			[]string{"Session ID unknown"},
		},
		{"handshake by POST", "POST", "EIO=4&transport=polling", nil, 400, 2, []string{"Bad handshake method", "GET"}},
		{"websocket without an upgrade", "GET", "EIO=4&transport=websocket", nil, 400, 3, []string{"Bad request"}},
		{
			"revision 3 switched off", "GET", "EIO=3&transport=polling", nil, 400, 5,
			[]string{"Unsupported protocol version", "allow_eio3"},
		},
		{"foreign origin, polling", "GET", "EIO=4&transport=polling", foreign, 403, 4, origin},
		{"foreign origin, websocket", "GET", "EIO=4&transport=websocket", upgradeHeader(foreign), 403, 4, origin},
	}
}

// TestRefusals sends requests that cannot be granted: the answer has the code that clients know and
// says, like the log, what is wrong.
func TestRefusals(t *testing.T) {
	t.Parallel()
	// At the usual level the log tells of foreign origins alone: old sids come by the thousand after a restart.
	crier := startCrier(t, settings{"log.level": "debug"})
	modern := startCrier(t, settings{"log.level": "debug", "socketio.allow_eio3": "false"})
	for _, test := range refusals() {
		t.Run(test.name, func(t *testing.T) {
			server := crier
			if test.code == 5 {
				server = modern
			}
			r := do(t, test.method, server.publicURL("/socket.io/?"+test.query), "", test.header)
			if r.status != test.status {
				t.Errorf("status %d, want %d", r.status, test.status)
			}
			var answer struct {
				Code    *int   `json:"code"`
				Message string `json:"message"`
			}
			if err := json.Unmarshal([]byte(r.body), &answer); err != nil || answer.Code == nil {
				t.Fatalf("the answer is %q, not JSON with a code: %v", r.body, err)
			}
			if *answer.Code != test.code {
				t.Errorf("code %d, want %d", *answer.Code, test.code)
			}
			if lacks := missingPhrase(answer.Message, test.phrases); lacks != "" {
				t.Errorf("the answer %q does not say %q", answer.Message, lacks)
			}
			server.log.await(t, server.exited, test.phrases[0])
		})
	}
}

// TestOwnOrigin has pages of the server's own host name, on any port, and of listed origins connect.
func TestOwnOrigin(t *testing.T) {
	t.Parallel()
	crier := startCrier(t, settings{"origins": "https://app.example,capacitor://localhost"})
	for _, origin := range []string{
		"", "http://shop.example", "https://shop.example:8443", "http://SHOP.example:81",
		"https://app.example", "capacitor://localhost",
	} {
		t.Run(origin, func(t *testing.T) {
			header := http.Header{"Host": {"shop.example:2120"}}
			if origin != "" {
				header["Origin"] = []string{origin}
			}
			r := do(t, "GET", crier.publicURL("/socket.io/?EIO=4&transport=polling"), "", header)
			if r.status != http.StatusOK {
				t.Fatalf("status %d: %s", r.status, r.body)
			}
			if got := r.header.Get("Access-Control-Allow-Origin"); got != origin {
				t.Errorf("Access-Control-Allow-Origin is %q, want %q", got, origin)
			}
		})
	}
}

// TestWrongPath asks for a path that nobody serves, as a client with another path setting does: the answer says so.
func TestWrongPath(t *testing.T) {
	t.Parallel()
	crier := startCrier(t, nil)
	r := do(t, "GET", crier.publicURL("/push/socket.io/?EIO=4&transport=polling"), "", nil)
	if r.status != http.StatusNotFound {
		t.Errorf("status %d, want 404", r.status)
	}
	if lacks := missingPhrase(r.body, []string{"/socket.io/", "socketio.path"}); lacks != "" {
		t.Errorf("the answer %q does not say %q", r.body, lacks)
	}
}

// tryNowhere connects to a path that nobody serves, and joins a namespace that nobody made, which is refused in
// the words of the Node server.
func tryNowhere(t *testing.T, d *driver, c client) {
	crier := d.startCrier(t, nil)
	d.open(t, "path", opening{
		client: c, route: byPolling, url: crier.publicURL(""),
		options: map[string]any{"path": "/push/socket.io"},
	}).await(t, happening{On: "refused"})
	s := d.open(t, "namespace", opening{client: c, route: byWebSocket, url: crier.publicURL("/nowhere")})
	if reason := s.await(t, happening{On: "refused"}).Reason; reason != "Invalid namespace" {
		t.Errorf("refused by %q, want Invalid namespace", reason)
	}
}
