package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"crier/configs"
)

const badUID = `[{"ok":false,"error":"a uid must be 1 to 255 bytes of valid UTF-8 without control characters","code":"bad_uid"}]`

const noUID = `[{"ok":false,"error":"login needs a uid: a string or an integer","code":"bad_uid"}]`

func TestLogin(t *testing.T) {
	long := strings.Repeat("é", 127) + "x" // 255 bytes
	tests := []struct {
		name, args string // of the event, JSON
		uid        string // "": refused
		refusal    string
	}{
		{"string", `"7"`, "7", ""},
		{"any characters", `"中文 é😀,/<'\"\\\u00e9"`, `中文 é😀,/<'"\é`, ""},
		{"a comma is part of it", `"1,2"`, "1,2", ""},
		{"integer", `7`, "7", ""},
		{"zero", `0`, "0", ""},
		{"negative integer", `-7`, "-7", ""},
		{"integer beyond 2^64", `123456789012345678901234567890`, "123456789012345678901234567890", ""},
		{"more arguments", `"7","a token",{}`, "7", ""},
		{"255 bytes", `"` + long + `"`, long, ""},
		{"256 bytes", `"` + long + `x"`, "", badUID},
		{"256 digits", strings.Repeat("1", 256), "", badUID},
		{"empty", `""`, "", badUID},
		{"control character", `"a\nb"`, "", badUID},
		{"NUL", `"\u0000"`, "", badUID},
		{"DEL", `"\u007f"`, "", badUID},
		{"C1 control character", `"\u0085"`, "", badUID},
		{"fraction", `7.5`, "", noUID},
		{"integral fraction", `7.0`, "", noUID},
		{"exponent", `7e3`, "", noUID},
		{"capital exponent", `7E3`, "", noUID},
		{"null", `null`, "", noUID},
		{"boolean", `true`, "", noUID},
		{"object", `{"uid":"7"}`, "", noUID},
		{"array", `["7"]`, "", noUID},
		{"nothing", ``, "", noUID},
	}
	p := start(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, pg := range []*page{p.open(""), p.openOld()} {
				before := p.hub.Stats().Connections
				pg.send(strings.TrimSuffix(`425["login",`+tt.args, ",") + "]")
				if tt.uid == "" {
					pg.want("435" + tt.refusal)
					same(t, "logged-in connections", p.hub.Stats().Connections, before)
					continue
				}
				var reply []reply
				if err := json.Unmarshal([]byte(pg.wantPrefix("435")), &reply); err != nil {
					t.Fatal(err)
				}
				same(t, "ack", fmt.Sprint(reply), fmt.Sprint([]any{struct {
					OK                     bool
					UID, Room, Error, Code string
				}{true, tt.uid, "", "", ""}}))
				same(t, "online", p.hub.Online(tt.uid), true)
			}
		})
	}
}

// Bytes are no uid, whatever is in them.
func TestLoginWithBytes(t *testing.T) {
	p := start(t, nil)
	pg := p.open("")
	pg.send(`451-5["login",{"_placeholder":true,"num":0}]`)
	if err := pg.write(ws.NewBinaryFrame([]byte("7"))); err != nil {
		t.Fatal(err)
	}
	pg.want("435" + noUID)
}

func TestFirstLoginWins(t *testing.T) {
	p := start(t, nil)
	pg := p.open("")
	pg.send(`42["login","7"]`) // wants no ack
	for _, later := range []string{`"7"`, `"8"`, `"\u0037"`, `7`, `9`} {
		pg.send(`425["login",` + later + `]`)
		pg.want(`435[{"ok":true,"uid":"7"}]`)
	}
	pg.send(`425["login",""]`)
	pg.want("435" + badUID)
	same(t, "online as 7", p.push("7", "hi"), "ok")
	pg.want(`42["new_msg","hi"]`)
	same(t, "online as 8", p.push("8", "hi"), "offline")
	pg.wantNothing()
}

// What has the bytes of a user's name is not that name if it means another.
func TestLoginAgainWithAnEscape(t *testing.T) {
	p := start(t, nil)
	pg := p.open("")
	pg.send(`425["login","a\\n"]`)
	pg.want(`435[{"ok":true,"uid":"a\\n"}]`)
	pg.send(`425["login","a\n"]`)
	pg.want("435" + badUID)
}

func TestLogout(t *testing.T) {
	p := start(t, nil)
	pg := p.openAs("7")
	pg.send(`425["logout"]`)
	pg.want(`435[{"ok":true}]`)
	same(t, "push", p.push("7", "hi"), "offline")
	pg.send(`42["logout"]`) // changes nothing
	pg.login("8")           // another user on the same page
	same(t, "push", p.push("8", "hi"), "ok")
	pg.want(`42["new_msg","hi"]`)
	pg.wantNothing()
}

func TestUIDWhileConnecting(t *testing.T) {
	tests := []struct {
		name, auth, query string
		uid               string // "": not logged in
	}{
		{"auth", `{"uid":"7"}`, "", "7"},
		{"auth, integer", `{"uid":7,"token":"x"}`, "", "7"},
		{"query", "", "uid=7", "7"},
		{"query, encoded", "", "uid=%E4%B8%AD+%2B", "中 +"},
		{"auth before query", `{"uid":"7"}`, "uid=8", "7"},
		{"auth without uid", `{"token":"x"}`, "uid=8", "8"},
		{"auth of null", `{"uid":null}`, "", ""},
		{"none", "", "", ""},
	}
	p := start(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pages := []*page{p.open(tt.auth, tt.query)}
			if tt.auth == "" {
				pages = append(pages, p.openOld(tt.query))
			}
			for _, pg := range pages {
				want := `435[{"ok":true,"uid":"late"}]`
				if tt.uid != "" {
					want = strings.Replace(want, "late", tt.uid, 1)
				}
				pg.send(`425["login","late"]`) // the first one wins
				pg.want(want)
			}
		})
	}
}

func TestBadUIDWhileConnecting(t *testing.T) {
	const sentence = "a uid must be 1 to 255 bytes of valid UTF-8 without control characters"
	const data = `{"code":"bad_uid","error":"` + sentence + `"}`
	p := start(t, nil)
	for name, auth := range map[string]string{"empty": `{"uid":""}`, "control character": `{"uid":"\n"}`} {
		t.Run(name, func(t *testing.T) {
			pg := dial(t, "ws", p.Addr(), "EIO=4", nil)
			pg.send("40" + auth)
			pg.want(`44{"message":"` + sentence + `","data":` + data + "}")
			await(t, "leaving the hub", func() bool { return p.hub.Stats().Sockets == 0 })
			pg.join(`{"uid":"7"}`) // the connection can be used for another try
			same(t, "online", p.hub.Online("7"), true)
			pg.leave()
			await(t, "leaving", func() bool { return p.hub.Stats().Sockets == 0 })
		})
	}
	t.Run("fraction", func(t *testing.T) {
		pg := dial(t, "ws", p.Addr(), "EIO=4", nil)
		pg.send(`40{"uid":1.5}`)
		pg.wantPrefix(`44{"message":"login needs a uid: a string or an integer","data":{"code":"bad_uid",`)
	})
	t.Run("query", func(t *testing.T) {
		pg := dial(t, "ws", p.Addr(), "EIO=4&uid=%0A", nil)
		pg.send("40")
		pg.wantPrefix(`44{"message":"` + sentence)
	})
	t.Run("query of an old client", func(t *testing.T) {
		dial(t, "ws", p.Addr(), "EIO=3&uid=", nil).want("44" + data)
	})
}

// A client that joins another namespace first is still logged in by its query.
func TestUIDAfterAnotherNamespace(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.SocketIO.Namespaces = []string{"/chat"} })
	pg := dial(t, "ws", p.Addr(), "EIO=4&uid=7", nil)
	pg.send("40/chat,")
	pg.wantPrefix(`40/chat,{"sid":"`)
	pg.join("")
	same(t, "push", p.push("7", "hi"), "ok")
	pg.want(`42["new_msg","hi"]`)
}

func TestRooms(t *testing.T) {
	const forbidden = "[{\"ok\":false,\"error\":\"clients may not enter rooms here (setting `rooms.client_join`)\",\"code\":\"forbidden\"}]"
	const noRoom = `[{"ok":false,"error":"the room must be a string","code":"bad_room"}]`
	const badRoom = `[{"ok":false,"error":"a room name must be 1 to 255 bytes of valid UTF-8 without control characters","code":"bad_room"}]`
	tests := []struct{ mode, event, args, want, rooms string }{
		{"deny", "subscribe", `"a"`, forbidden, "[]"},
		{"deny", "unsubscribe", `"a"`, forbidden, "[]"},
		{"deny", "subscribe", `7`, forbidden, "[]"},
		{"allow", "subscribe", `"a"`, `[{"ok":true,"room":"a"}]`, "[z a]"},
		{"allow", "subscribe", `"z"`, `[{"ok":true,"room":"z"}]`, "[z]"},
		{"allow", "unsubscribe", `"z"`, `[{"ok":true,"room":"z"}]`, "[]"},
		{"allow", "unsubscribe", `"nowhere"`, `[{"ok":true,"room":"nowhere"}]`, "[z]"},
		{"allow", "subscribe", `7`, noRoom, "[z]"},
		{"allow", "subscribe", ``, noRoom, "[z]"},
		{"allow", "unsubscribe", `{}`, noRoom, "[z]"},
		{"allow", "subscribe", `""`, badRoom, "[z]"},
		{"allow", "subscribe", `"a\tb"`, badRoom, "[z]"},
	}
	servers := map[string]*program{}
	for _, mode := range []string{"deny", "allow"} {
		servers[mode] = start(t, func(c *configs.Config) { c.Rooms.ClientJoin = mode })
	}
	for _, tt := range tests {
		t.Run(tt.mode+" "+tt.event+" "+tt.args, func(t *testing.T) {
			p := servers[tt.mode]
			pg := p.open("")
			defer func() {
				pg.leave()
				await(t, "leaving", func() bool { return p.hub.Stats().Sockets == 0 })
			}()
			if tt.mode == "allow" {
				pg.send(`42["subscribe","z"]`) // wants no ack
			}
			pg.send(strings.TrimSuffix(`425["`+tt.event+`",`+tt.args, ",") + "]")
			pg.want("435" + tt.want)
			same(t, "rooms", fmt.Sprint(p.rooms(pg)), tt.rooms)
		})
	}
}
