package app

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/gobwas/ws"
	"github.com/golang-jwt/jwt/v5"

	"crier/api/auth"
	"crier/configs"
	"crier/io/hub"
	"crier/io/socketio"
	"crier/io/socketio/intime"
)

// canary is in the secrets and tokens of these tests, and must be in no log.
const canary = "sesame"

const jwtSecret = canary + ", a secret of more than thirty-two bytes"

// withJWT asks for tokens.
func withJWT(c *configs.Config) {
	c.Auth.Mode, c.Auth.JWT.Secret = "jwt", jwtSecret
}

// sign makes a token that expires after d.
func sign(t testing.TB, uid string, d time.Duration, rooms ...string) string {
	t.Helper()
	token, err := auth.Sign(auth.SignOptions{Secret: jwtSecret}, auth.Identity{UID: uid, Rooms: rooms, Expires: time.Now().Add(d)})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// dialWith is dial with headers.
func dialWith(t testing.TB, addr, query string, header http.Header) *page {
	t.Helper()
	dialer := ws.Dialer{Timeout: patience, Header: ws.HandshakeHeaderHTTP(header)}
	conn, in, _, err := dialer.Dial(context.Background(), "ws://"+addr+"/socket.io/?transport=websocket&"+query)
	if err != nil {
		t.Fatal(err)
	}
	if in == nil {
		in = bufio.NewReader(conn)
	}
	p := &page{t: t, conn: conn, in: in}
	t.Cleanup(p.leave)
	p.wantPrefix("0{")
	return p
}

// refusedWith takes a connect_error of that code.
func (p *page) refusedWith(code string) {
	p.t.Helper()
	var e struct{ Data struct{ Code, Error string } }
	text := p.wantPrefix("44")
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		p.t.Fatal(err)
	}
	if e.Data.Code == "" { // up to 2.x it is the data alone
		if err := json.Unmarshal([]byte(text), &e.Data); err != nil {
			p.t.Fatal(err)
		}
	}
	same(p.t, "code of "+text, e.Data.Code, code)
	same(p.t, "has a sentence", e.Data.Error != "", true)
}

// ack sends an event and returns its answer.
func (p *page) ack(event string) reply {
	p.t.Helper()
	p.send("425" + event)
	var r []reply
	if err := json.Unmarshal([]byte(p.wantPrefix("435")), &r); err != nil {
		p.t.Fatal(err)
	}
	return r[0]
}

func TestTokenSources(t *testing.T) {
	p := start(t, withJWT)
	right, late := sign(t, "7", time.Hour), sign(t, "7", -time.Second)
	bearer := func(scheme, token string) http.Header { return http.Header{"Authorization": {scheme + " " + token}} }
	tests := []struct {
		name, auth, query string
		header            http.Header
		code              string // "": logged in as 7; "none": let in, not logged in
	}{
		{"auth.token", `{"token":"` + right + `"}`, "", nil, ""},
		{"auth.token and uid", `{"token":"` + right + `","uid":7}`, "", nil, ""},
		{"query", "", "token=" + right, nil, ""},
		{"query and uid", "", "uid=7&token=" + right, nil, ""},
		{"header", "", "", bearer("Bearer", right), ""},
		{"header in small letters", "", "", bearer("bearer", right), ""},
		{"auth before query", `{"token":"` + right + `"}`, "token=x", nil, ""},
		{"query before header", "", "token=" + right, bearer("Bearer", "x"), ""},
		{"uid of auth, token of the query", `{"uid":"7"}`, "token=" + right, nil, ""},
		{"null", `{"token":null,"uid":null}`, "", nil, "none"},
		{"nothing", "", "", nil, "none"},
		{"another scheme", "", "", bearer("Basic", right), "none"},
		{"a cookie says nothing here", "", "", http.Header{"Cookie": {"a=b"}}, "none"},
		{"a bare uid", `{"uid":"7"}`, "", nil, "token_required"},
		{"a bare uid in the query", "", "uid=7", nil, "token_required"},
		{"another uid", `{"token":"` + right + `","uid":"8"}`, "", nil, "uid_mismatch"},
		{"another uid in the query", "", "uid=8&token=" + right, nil, "uid_mismatch"},
		{"a uid that cannot be", `{"token":"` + right + `","uid":1.5}`, "", nil, "bad_uid"},
		{"a token's uid that cannot be", `{"token":"` + sign(t, "a\nb", time.Hour) + `"}`, "", nil, "bad_uid"},
		{"a wrong token", `{"token":"` + right + `x"}`, "", nil, "refused"},
		{"a wrong token in the query", "", "token=x", nil, "refused"},
		{"a wrong token in the header", "", "", bearer("Bearer", "x"), "refused"},
		{"a wrong token before a right one", `{"token":"x"}`, "token=" + right, nil, "refused"},
		{"a token that is no text", `{"token":7}`, "", nil, "token_required"},
		{"an empty token", `{"token":""}`, "", nil, "token_required"},
		{"expired", `{"token":"` + late + `"}`, "", nil, "expired"},
	}
	for _, tt := range tests {
		for _, version := range []string{"4", "3"} {
			if version == "3" && tt.auth != "" {
				continue // has no auth
			}
			t.Run(tt.name+", EIO "+version, func(t *testing.T) {
				pg := dialWith(t, p.Addr(), "EIO="+version+"&"+tt.query, tt.header)
				if version == "4" {
					pg.send("40" + tt.auth)
				}
				switch tt.code {
				case "", "none":
					pg.wantPrefix("40")
					want := reply{OK: true, UID: "7"}
					if tt.code == "none" {
						want = reply{Error: errTokenRequired.Error(), Code: "token_required"}
					}
					same(t, "login", pg.ack(`["login","7"]`), want)
				default:
					pg.refusedWith(tt.code)
				}
				same(t, "online", p.hub.Online("7"), tt.code == "")
				pg.leave()
				await(t, "leaving", func() bool { return p.hub.Stats().Sockets == 0 })
			})
		}
	}
	same(t, "the canary is in the log", strings.Contains(p.log.String(), canary), false)
	same(t, "a token is in the log", strings.Contains(p.log.String(), right), false)
}

// watch tells when nothing is kept any more of the sockets that have been let into the namespaces.
func (p *program) watch(namespaces ...string) (forgotten func() bool) {
	var mu sync.Mutex
	var came []weak.Pointer[socketio.Socket]
	for _, name := range append(namespaces, "/") {
		n, err := p.sockets.Of(name)
		if err != nil {
			p.t.Fatal(err)
		}
		n.Use(func(s *socketio.Socket) error {
			mu.Lock()
			defer mu.Unlock()
			came = append(came, weak.Make(s))
			return nil
		})
	}
	return func() bool {
		runtime.GC()
		mu.Lock()
		defer mu.Unlock()
		if len(came) == 0 {
			p.t.Fatal("no socket came")
		}
		return !slices.ContainsFunc(came, func(w weak.Pointer[socketio.Socket]) bool { return w.Value() != nil })
	}
}

func TestLoginWithToken(t *testing.T) {
	p := start(t, withJWT)
	right := sign(t, "7", time.Hour)
	tests := []struct{ args, code string }{
		{`"7","` + right + `"`, ""},
		{`7,"` + right + `"`, ""},
		{`null,"` + right + `"`, ""},
		{`"8","` + right + `"`, "uid_mismatch"},
		{`"7"`, "token_required"},
		{`"7",null`, "token_required"},
		{`"7",""`, "token_required"},
		{`"7",{"a":1}`, "token_required"},
		{`"7","x"`, "refused"},
		{`"","` + right + `"`, "bad_uid"},
		{`1.5,"` + right + `"`, "bad_uid"},
		{`"7","` + sign(t, "7", -time.Minute) + `"`, "expired"},
	}
	for _, tt := range tests {
		t.Run(tt.args[:min(8, len(tt.args))]+tt.code, func(t *testing.T) {
			for _, pg := range []*page{p.open(""), p.openOld()} {
				got := pg.ack(`["login",` + tt.args + `]`)
				same(t, "code", got.Code, tt.code)
				same(t, "ok", got.OK, tt.code == "")
				same(t, "online", p.hub.Online("7"), tt.code == "")
				if tt.code != "" { // another try may follow
					same(t, "second try", pg.ack(`["login","7","`+right+`"]`), reply{OK: true, UID: "7"})
				}
				same(t, "later logins", pg.ack(`["login","8"]`), reply{OK: true, UID: "7"})
				same(t, "push", p.push("7", "hi"), "ok")
				pg.want(`42["new_msg","hi"]`)
				pg.leave()
				await(t, "leaving", func() bool { return !p.hub.Online("7") })
			}
		})
	}
}

// Who has not logged in gets nothing: not what goes to all, not what goes to its connection, not the count.
func TestNothingBeforeLogin(t *testing.T) {
	p := start(t, func(c *configs.Config) {
		withJWT(c)
		c.Presence.CountEvent, c.Presence.CountInterval = "json", time.Millisecond
		c.Rooms.ClientJoin = "allow"
	})
	stranger, old := p.open(""), p.openOld()
	same(t, "subscribe", stranger.ack(`["subscribe","z"]`).Code, "login_required")
	same(t, "stats", p.hub.Stats(), hub.Stats{Sockets: 2})
	same(t, "push to nobody", p.push("", "secret"), "ok")
	named := p.do(http.MethodPost, "http://"+p.PushAddr()+"/v1/push",
		fmt.Sprintf(`{"to":{"connections":[%q],"users":["8"],"rooms":["z"]},"data":"secret"}`, stranger.sid))
	same(t, "matched "+named.body, strings.Contains(named.body, `"matched":{"users":0,"connections":0}`), true)
	right := p.open(`{"token":"` + sign(t, "7", time.Hour) + `"}`)
	right.want(`42["update_online_count",{"users":1,"connections":1}]`, `42["update_online_count",{"users":1,"connections":1}]`)
	same(t, "push to all", p.push("", "secret"), "ok")
	right.want(`42["new_msg","secret"]`)
	stranger.wantNothing()
	old.wantNothing()

	stranger.send(`429["login","8","` + sign(t, "8", time.Hour) + `"]`)
	stranger.want(`42["update_online_count",{"users":2,"connections":2}]`)
}

func TestLogoutBehindTheGate(t *testing.T) {
	rec := listen(t, nil)
	p := start(t, func(c *configs.Config) {
		rec.tell(10 * time.Millisecond)(c)
		withJWT(c)
		c.Rooms.ClientJoin = "token"
	})
	pg := p.open(`{"token":"` + sign(t, "7", time.Hour, "z") + `"}`)
	rec.want(t, "user.online", "7", "")
	same(t, "subscribe", pg.ack(`["subscribe","z"]`), reply{OK: true, Room: "z"})
	for range 2 {
		same(t, "logout", pg.ack(`["logout"]`), reply{OK: true})
	}
	rec.want(t, "user.offline", "7", "logout")
	same(t, "push to all", p.push("", "secret"), "ok")
	same(t, "rooms", fmt.Sprint(p.rooms(pg)), "[]")
	same(t, "login without a token", pg.ack(`["login","7"]`).Code, "token_required")
	same(t, "login", pg.ack(`["login",null,"`+sign(t, "8", time.Hour)+`"]`), reply{OK: true, UID: "8"})
	rec.want(t, "user.online", "8", "")
	same(t, "the room of the token before", pg.ack(`["subscribe","z"]`).Code, "forbidden")
}

func TestRoomsOfTheToken(t *testing.T) {
	p := start(t, func(c *configs.Config) {
		withJWT(c)
		c.Rooms.ClientJoin = "token"
	})
	pg := p.open(`{"token":"` + sign(t, "7", time.Hour, "z", "7") + `"}`)
	same(t, "not by itself", fmt.Sprint(p.rooms(pg)), "[]")
	same(t, "named", pg.ack(`["subscribe","z"]`), reply{OK: true, Room: "z"})
	same(t, "not named", pg.ack(`["subscribe","a"]`), reply{Error: errNotNamed.Error(), Code: "forbidden"})
	same(t, "no text", pg.ack(`["subscribe",7]`).Code, "bad_room")
	same(t, "empty", pg.ack(`["subscribe",""]`).Code, "bad_room")
	same(t, "rooms", fmt.Sprint(p.rooms(pg)), "[z]")
	same(t, "leave one not named", pg.ack(`["unsubscribe","a"]`).Code, "forbidden")
	same(t, "leave", pg.ack(`["unsubscribe","z"]`), reply{OK: true, Room: "z"})
	same(t, "rooms", fmt.Sprint(p.rooms(pg)), "[]")
	stranger := p.open("")
	same(t, "a stranger", stranger.ack(`["subscribe","z"]`).Code, "login_required")

	denied := start(t, withJWT).open(`{"token":"` + sign(t, "7", time.Hour, "z") + `"}`)
	same(t, "deny", denied.ack(`["subscribe","z"]`).Code, "forbidden")
}

func TestLoginTimeout(t *testing.T) {
	intime.Run(t, 200*time.Millisecond, func(t *intime.Test, limit time.Duration) {
		p := start(t, func(c *configs.Config) {
			withJWT(c)
			c.Auth.LoginTimeout = limit
		})
		forgotten := p.watch()
		known := p.open(`{"token":"` + sign(t, "7", time.Hour) + `"}`)
		logged := p.open("")
		same(t, "login", logged.ack(`["login","8","`+sign(t, "8", time.Hour)+`"]`).OK, true)
		left := p.open("") // who is in no namespace any more does not stay either
		left.send("41")
		strangers := []*page{left, p.open(""), p.openOld(), dial(t, "ws", p.Addr(), "EIO=4", nil)}
		t.Done()
		for _, stranger := range strangers {
			stranger.wantEnd()
		}
		known.wantNothing()
		logged.wantNothing()
		same(t, "logout", logged.ack(`["logout"]`).OK, true)
		logged.wantEnd()
		known.send("41")
		known.wantEnd()
		await(t, "forgetting", forgotten)
	})
}

// An expired token ends the connection in such a way that the client comes back.
func TestTokenExpires(t *testing.T) {
	intime.Run(t, time.Second, func(t *intime.Test, limit time.Duration) {
		p := start(t, func(c *configs.Config) {
			withJWT(c)
			c.Auth.LoginTimeout = time.Hour
		})
		token := sign(t, "7", limit+time.Second) // in whole seconds
		byEvent := p.open("")
		same(t, "login", byEvent.ack(`["login","7","`+token+`"]`).OK, true)
		pages := []*page{p.open(`{"token":"` + token + `"}`), p.openOld("token=" + token), byEvent}
		longer := p.open(`{"token":"` + sign(t, "7", time.Hour) + `"}`)
		t.Done()
		for _, pg := range pages {
			pg.wantEnd() // no 41: that would be a kick
		}
		longer.wantNothing()
		await(t, "leaving", func() bool { return p.hub.Stats().Sockets == 1 })
		back := dial(t, "ws", p.Addr(), "EIO=4", nil)
		back.send(`40{"token":"` + token + `"}`)
		back.refusedWith("expired")
	})
}

func TestOtherNamespaces(t *testing.T) {
	p := start(t, func(c *configs.Config) {
		withJWT(c)
		c.SocketIO.Namespaces = []string{"/chat"}
	})
	forgotten := p.watch("/chat")
	right := sign(t, "7", time.Hour)
	refused := func(pg *page, code string) {
		t.Helper()
		if text := pg.wantPrefix("44/chat,"); !strings.Contains(text, `"code":"`+code+`"`) {
			t.Errorf("got %s, want the code %s", text, code)
		}
	}
	pg := dial(t, "ws", p.Addr(), "EIO=4", nil)
	pg.send("40/chat,")
	refused(pg, "token_required")
	pg.send(`40/chat,{"token":"x"}`)
	refused(pg, "refused")
	pg.send(`40/chat,{"token":"` + right + `"}`)
	pg.wantPrefix(`40/chat,{"sid":"`)
	same(t, "in the hub", p.hub.Stats().Sockets, 0)

	visitor := dial(t, "ws", p.Addr(), "EIO=4&token="+right, nil)
	visitor.join("")
	visitor.send("40/chat,") // the query is forgotten, who it is is not
	visitor.wantPrefix(`40/chat,{"sid":"`)
	visitor.send("41/chat,")
	visitor.send(`40/chat,{"uid":"8"}`)
	refused(visitor, "token_required")
	same(t, "logout", visitor.ack(`["logout"]`).OK, true)
	visitor.send("40/chat,")
	refused(visitor, "token_required")
	pg.leave()
	visitor.leave()
	await(t, "forgetting", forgotten)
}

func TestPublicKeyFile(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	file := t.TempDir() + "/key.pem"
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"sub": "7", "exp": time.Now().Add(time.Hour).Unix()}).SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{file, string(text)} {
		p := start(t, func(c *configs.Config) { c.Auth.Mode, c.Auth.JWT.PublicKey = "jwt", given })
		p.open(`{"token":"` + token + `"}`)
		same(t, "online", p.hub.Online("7"), true)
	}
	cfg := settings()
	cfg.Auth.Mode, cfg.Auth.JWT.PublicKey = "jwt", file+".none"
	if _, err := New(cfg, start(t, nil).App.log); err == nil || !strings.Contains(err.Error(), "setting `auth.jwt.public_key`") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	const open, short, anyPage = "auth.mode is open: ", "auth.jwt.secret is short", "origins is *: "
	callback := func(c *configs.Config) { c.Auth.Mode, c.Auth.Callback.URL = "callback", "http://127.0.0.1:1/" }
	anywhere := func(adapt func(*configs.Config)) func(*configs.Config) {
		return func(c *configs.Config) {
			adapt(c)
			c.Origins = []string{"*"}
		}
	}
	for name, tt := range map[string]struct {
		adapt func(*configs.Config)
		want  string
	}{
		"open":                  {nil, open},
		"jwt":                   {withJWT, ""},
		"short secret":          {func(c *configs.Config) { withJWT(c); c.Auth.JWT.Secret = canary }, short},
		"callback":              {callback, ""},
		"cookies from anywhere": {anywhere(callback), anyPage},
		"tokens from anywhere":  {anywhere(withJWT), ""},
	} {
		t.Run(name, func(t *testing.T) {
			log := start(t, tt.adapt).log.String()
			for _, line := range []string{open, short, anyPage} {
				n := 0
				if line == tt.want {
					n = 1
				}
				same(t, line, strings.Count(log, line), n)
			}
			same(t, "the canary is in the log", strings.Contains(log, canary), false)
		})
	}
}

// A connection that ends while it is being let in leaves nothing behind.
func TestLostWhileArriving(t *testing.T) {
	p := start(t, withJWT)
	forgotten := p.watch()
	const many = 20
	var admitted atomic.Int32
	p.sockets.Main().Use(func(*socketio.Socket) error {
		admitted.Add(1)
		return nil
	})
	for i := range many {
		pg := dial(t, "ws", p.Addr(), "EIO=4", nil)
		pg.send(fmt.Sprintf(`40{"token":%q}`, sign(t, fmt.Sprint(i), time.Hour)))
		pg.leave()
	}
	await(t, "coming", func() bool { return admitted.Load() == many })
	await(t, "leaving", func() bool { return p.hub.Stats().Sockets == 0 && forgotten() })
}

// One that has logged in, but ends before the client could be told, neither.
func TestLostBeforeConfirmation(t *testing.T) {
	p := start(t, withJWT)
	forgotten := p.watch()
	p.sockets.Main().Use(func(s *socketio.Socket) error {
		if uid := s.Member().UID(); uid != "7" {
			t.Errorf("logged in as %q", uid)
		}
		s.Session().Close()
		return nil
	})
	pg := dial(t, "ws", p.Addr(), "EIO=4", nil)
	pg.send(fmt.Sprintf(`40{"token":%q}`, sign(t, "7", time.Hour)))
	pg.wantEnd()
	await(t, "leaving", func() bool { return p.hub.Stats().Sockets == 0 && forgotten() })
}

func TestPeerOf(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	tests := []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"192.0.2.1:5", nil, "192.0.2.1"},
		{"[::ffff:192.0.2.1]:5", nil, "192.0.2.1"},
		{"192.0.2.1:5", []string{"1.1.1.1"}, "192.0.2.1"},
		{"10.0.0.1:5", []string{"1.1.1.1"}, "1.1.1.1"},
		{"10.0.0.1:5", []string{"6.6.6.6, 1.1.1.1, 10.0.0.2"}, "1.1.1.1"},
		{"10.0.0.1:5", []string{"6.6.6.6", "[2001:db8::1]:4"}, "2001:db8::1"},
		{"10.0.0.1:5", []string{"6.6.6.6, nonsense"}, "invalid IP"},
		{"10.0.0.1:5", []string{"10.0.0.3"}, "10.0.0.3"},
		{"@", nil, "invalid IP"},
	}
	for _, tt := range tests {
		h := http.Header{}
		if tt.forwarded != nil {
			h["X-Forwarded-For"] = tt.forwarded
		}
		same(t, fmt.Sprint(tt.remote, tt.forwarded), peerOf(tt.remote, h, proxies).String(), tt.want)
	}
}
