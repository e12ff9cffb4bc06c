package engineio_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/io/engineio"
)

// wantError checks that a request was refused with that code, as JSON.
func wantError(t *testing.T, w *httptest.ResponseRecorder, code engineio.ErrorCode) (message string) {
	t.Helper()
	status := http.StatusBadRequest
	if code == engineio.Forbidden {
		status = http.StatusForbidden
	}
	var body struct {
		Code    *engineio.ErrorCode
		Message string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Code == nil {
		t.Fatalf("status %d, body %q: %v", w.Code, w.Body, err)
	}
	if w.Code != status || *body.Code != code {
		t.Errorf("status %d, code %d (%s); want status %d, code %d", w.Code, *body.Code, body.Message, status, code)
	}
	if !strings.HasPrefix(body.Message, code.String()+": ") {
		t.Errorf("message %q does not begin with %q", body.Message, code)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type %q", ct)
	}
	return body.Message
}

func TestRevisions(t *testing.T) {
	for _, c := range []struct {
		eio  string
		want engineio.Revision // 0: refused
	}{
		{"EIO=2", 3},
		{"EIO=3", 3},
		{"EIO=4", 4},
		{"", 0},
		{"EIO=", 0},
		{"EIO=abc", 0},
		{"EIO=5", 0},
		{"EIO=44", 0},
		{"EIO=1", 0},
	} {
		t.Run(c.eio, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, refuse := range []bool{false, true} {
					o, _ := withFakes(engineio.Options{RefuseRevision3: refuse})
					r := newRig(t, false, o)
					want := c.want
					if refuse && want == engineio.Revision3 {
						want = 0
					}
					w := request(r.srv, http.MethodGet, "transport=polling&"+c.eio)
					_, _, resp := r.handshake("transport=websocket&" + c.eio)
					if want == 0 {
						wantError(t, w, engineio.UnsupportedVersion)
						if resp.StatusCode != http.StatusBadRequest {
							t.Errorf("status %d for a WebSocket", resp.StatusCode)
						}
						if n := len(r.handler.accepted); n != 0 {
							t.Errorf("%d sessions were accepted", n)
						}
						continue
					}
					for _, transport := range []string{"polling", "websocket"} {
						rc := next(t, r.handler.accepted)
						if got := rc.session; got.Revision() != want || got.Transport() != transport {
							t.Errorf("revision %d on %s, want %d on %s", got.Revision(), got.Transport(), want, transport)
						}
					}
				}
			})
		})
	}
}

// The settings that keep old clients out are named to them.
func TestRefusalNamesTheSetting(t *testing.T) {
	o, _ := withFakes(engineio.Options{RefuseRevision3: true})
	r := newRig(t, false, o)
	for query, word := range map[string]string{
		"transport=polling&EIO=3": "socketio.allow_eio3",
		"transport=flashsocket":   "socketio.transports",
		"t=1700000000000":         "0.9",
	} {
		if body := request(r.srv, http.MethodGet, query).Body.String(); !strings.Contains(body, word) {
			t.Errorf("%s: %s", query, body)
		}
	}
}

func TestRefusals(t *testing.T) {
	o, _ := withFakes(engineio.Options{})
	r := newRig(t, false, o)
	request(r.srv, http.MethodGet, eio4)
	polling := "&sid=" + next(t, r.handler.accepted).session.ID()
	r.ws("EIO=4&transport=websocket")
	socket := "&sid=" + next(t, r.handler.accepted).session.ID()

	for _, c := range []struct {
		name, method, query string
		upgrade             bool
		want                engineio.ErrorCode
	}{
		{"no transport", "GET", "EIO=4", false, engineio.UnknownTransport},
		{"unknown transport", "GET", "EIO=4&transport=abc", false, engineio.UnknownTransport},
		{"unknown transport before unknown session", "GET", "EIO=4&transport=abc&sid=x", false, engineio.UnknownTransport},
		{"unknown session", "GET", eio4 + "&sid=abc", false, engineio.UnknownSession},
		{"unknown session by POST", "POST", eio4 + "&sid=abc", false, engineio.UnknownSession},
		{"unknown session by WebSocket", "GET", "EIO=4&transport=websocket&sid=abc", true, engineio.UnknownSession},
		{"property of every object", "GET", eio4 + "&sid=__proto__", false, engineio.UnknownSession},
		{"handshake by POST", "POST", eio4, false, engineio.BadHandshakeMethod},
		{"handshake by PUT", "PUT", eio4, false, engineio.BadHandshakeMethod},
		{"handshake by HEAD", "HEAD", eio4, false, engineio.BadHandshakeMethod},
		{"handshake by DELETE", "DELETE", "EIO=5&transport=polling", false, engineio.BadHandshakeMethod},
		{"no handshake", "GET", "EIO=4&transport=websocket", false, engineio.BadRequest},
		{"handshake for polling", "GET", eio4, true, engineio.BadRequest},
		{"transport mismatch", "GET", "EIO=4&transport=websocket" + polling, false, engineio.BadRequest},
		{"polling a WebSocket session", "GET", eio4 + socket, false, engineio.BadRequest},
		{"posting to a WebSocket session", "POST", eio4 + socket, false, engineio.BadRequest},
		{"plain request to a WebSocket session", "GET", "EIO=4&transport=websocket" + socket, false, engineio.BadRequest},
		{"query", "GET", "transport=%zz", false, engineio.BadRequest},
		{"JSONP without an index", "GET", eio3 + "&j=", false, engineio.BadRequest},
		{"JSONP index before unknown session", "GET", eio3 + "&j=0x1&sid=abc", false, engineio.BadRequest},
		{"unsupported version", "GET", "EIO=5&transport=polling", false, engineio.UnsupportedVersion},
	} {
		t.Run(c.name, func(t *testing.T) {
			var header []string
			if c.upgrade {
				header = []string{"Upgrade", "websocket", "Connection", "Upgrade"}
			}
			wantError(t, request(r.srv, c.method, c.query, header...), c.want)
		})
	}
	if n := r.srv.Stats().Sessions; n != 2 {
		t.Errorf("%d sessions, want 2", n)
	}
}

func TestErrorCodes(t *testing.T) {
	codes := []string{
		"Transport unknown", "Session ID unknown", "Bad handshake method", "Bad request", "Forbidden", "Unsupported protocol version",
		"Too many requests", "Overloaded",
	}
	for i, message := range codes {
		if got := engineio.ErrorCode(i).String(); got != message {
			t.Errorf("code %d is %q, want %q", i, got, message)
		}
	}
	if got := engineio.ErrorCode(8).String(); got != "Error 8" {
		t.Error(got)
	}
}

func TestOptions(t *testing.T) {
	polling := func(*engineio.Session) engineio.RequestTransport { return nil }
	for name, o := range map[string]engineio.Options{
		"no transport":        {NoWebSocket: true},
		"negative interval":   {PingInterval: -1},
		"negative timeout":    {PingTimeout: -1},
		"negative upgrade":    {UpgradeTimeout: -1},
		"negative payload":    {MaxPayload: -1},
		"negative queue":      {QueueBytes: -1, Polling: polling},
		"negative queue size": {QueueMessages: -1},
	} {
		if srv, err := engineio.New(o, newHandler()); err == nil {
			t.Errorf("%s: no error", name)
			closeServer(t, srv)
		}
	}
	srv, err := engineio.New(engineio.Options{}, newHandler())
	if err != nil {
		t.Fatal(err)
	}
	defer closeServer(t, srv)
	o := srv.Options()
	if o.PingInterval != 25*time.Second || o.PingTimeout != 20*time.Second || o.UpgradeTimeout != 10*time.Second ||
		o.MaxPayload != 1_000_000 || o.QueueBytes != 1<<20 || o.QueueMessages != 1000 {
		t.Errorf("defaults: %+v", o)
	}
}

func TestTransportsOffered(t *testing.T) {
	o, _ := withFakes(engineio.Options{NoWebSocket: true})
	r := newRig(t, false, o)
	wantError(t, request(r.srv, "GET", "EIO=4&transport=websocket", "Upgrade", "websocket"), engineio.UnknownTransport)
	r = newRig(t, false, engineio.Options{})
	wantError(t, request(r.srv, "GET", eio4), engineio.UnknownTransport)
}

func TestOpenPacket(t *testing.T) {
	times := engineio.Options{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond, MaxPayload: 12345}
	for _, c := range []struct {
		name, transport string
		noWebSocket     bool
		upgrades        []string
	}{
		{"polling", "polling", false, []string{"websocket"}},
		{"polling alone", "polling", true, []string{}},
		{"websocket", "websocket", false, []string{}},
	} {
		for _, eio := range []string{"3", "4"} {
			t.Run(c.name+" "+eio, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o, fakes := withFakes(times)
					o.NoWebSocket = c.noWebSocket
					r := newRig(t, false, o)
					var text string
					if c.transport == "polling" {
						request(r.srv, "GET", "EIO="+eio+"&transport=polling")
						text = next(t, fakes).take()[0]
					} else {
						text = next(t, r.ws("EIO="+eio+"&transport=websocket").got)
					}
					rc := next(t, r.handler.accepted)
					var open struct {
						SID                                   string
						Upgrades                              []string
						PingInterval, PingTimeout, MaxPayload int
					}
					d := json.NewDecoder(strings.NewReader(text[1:]))
					d.DisallowUnknownFields()
					if err := d.Decode(&open); err != nil || text[0] != '0' {
						t.Fatalf("%s: %v", text, err)
					}
					if open.SID != rc.session.ID() || len(open.SID) != 24 || !slices.Equal(open.Upgrades, c.upgrades) || open.Upgrades == nil ||
						open.PingInterval != 300 || open.PingTimeout != 200 || open.MaxPayload != 12345 {
						t.Errorf("open packet %s", text)
					}
				})
			})
		}
	}
}

func TestNewID(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := engineio.NewID()
		if len(id) != 24 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}

// Sessions that a closed server gets are told so at once; Close can be called again.
func TestClosedServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRig(t, engineio.Options{})
		idle, f := r.open(eio4)
		busy, stuck := r.open(eio3)
		stuck.set(func() { stuck.lingers = true }) // this client does not come back
		start := time.Now()
		closeServer(t, r.srv)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("closing took %v", took)
		}
		want(t, idle.events, "closed: server shutting down")
		want(t, busy.events, "closed: server shutting down")
		if f.count("close") != 1 || f.count("abort") != 0 || stuck.count("close") != 1 || stuck.count("abort") != 1 {
			t.Errorf("transports: %q, %q", f.calls, stuck.calls)
		}
		late, f := r.open(eio4)
		want(t, late.events, "closed: server shutting down")
		if f.count("close") != 1 {
			t.Error("the late client was not told")
		}
		wantError(t, request(r.srv, "GET", eio4+"&sid="+late.session.ID()), engineio.UnknownSession)
		closeServer(t, r.srv)
	})
}

// A transport that has ended before the session began.
func TestTransportThatFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o engineio.Options
		o.Polling = func(s *engineio.Session) engineio.RequestTransport {
			return &fakeTransport{session: s, fail: engineio.ErrClosed}
		}
		r := newRig(t, false, o)
		request(r.srv, "GET", eio4)
		rc := next(t, r.handler.accepted)
		wantClosed(t, r, rc, engineio.TransportClose, 0)
	})
}
