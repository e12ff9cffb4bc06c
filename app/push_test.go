package app

import (
	"net/http"
	"slices"
	"testing"

	"crier/configs"
	"crier/io/hub"
)

// rooms are those that a page is in, of the ones that tests use.
func (p *program) rooms(pg *page) []string {
	p.t.Helper()
	in := []string{}
	for _, room := range []string{"z", "a", "7"} {
		r, err := p.hub.Push(p.t.Context(), hub.Push{
			To:      hub.Audience{Rooms: []string{room}},
			Message: &hub.Message{Event: "in"},
		})
		if err != nil {
			p.t.Fatal(err)
		}
		if r.Delivered > 0 {
			pg.want(`42["in"]`)
			in = append(in, room)
		}
	}
	return in
}

func TestPushToUser(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.Rooms.ClientJoin = "allow" })
	first, second := p.openAs("7"), p.openOld("uid=7")
	others := []*page{p.openAs("77"), p.openAs("8"), p.open("")}
	// Neither a room nor a connection of the same name is that user.
	inRoom := p.open("")
	inRoom.send(`425["subscribe","7"]`)
	inRoom.wantPrefix("435")
	others = append(others, inRoom)

	same(t, "push", p.push("7", `<b>"it's" & 中文é😀`), "ok")
	const event = `42["new_msg","&lt;b&gt;&quot;it&#039;s&quot; &amp; 中文é😀"]`
	first.want(event)
	second.want(event)
	same(t, "push to a connection's id", p.push(others[2].sid, "hi"), "offline")
	same(t, "push to a stranger", p.push("nobody", "hi"), "offline")
	for _, pg := range append(others, first, second) {
		pg.wantNothing()
	}
	first.leave()
	second.leave()
	await(t, "going offline", func() bool { return p.push("7", "hi") == "offline" })
}

func TestPushToEverybody(t *testing.T) {
	p := start(t, nil)
	same(t, "push to nobody at all", p.push("", "early"), "ok")
	pages := []*page{p.openAs("7"), p.openAs("8"), p.open(""), p.openOld()}
	same(t, "push", p.push("", "all"), "ok")
	for _, pg := range pages {
		pg.want(`42["new_msg","all"]`)
		pg.wantNothing()
	}
}

func TestPushFails(t *testing.T) {
	p := start(t, func(c *configs.Config) {
		c.SocketIO.MaxPayload = 100
		c.API.MaxBody = 1000
	})
	pg := p.openAs("7")
	same(t, "bad uid", p.push("\n", "hi"), "fail")
	same(t, "larger than socketio.max_payload", p.push("7", string(make([]byte, 101))), "fail")
	large := p.do(http.MethodPost, "http://"+p.PushAddr()+"/", string(make([]byte, 1001)))
	same(t, "larger than api.max_body", large.status, http.StatusRequestEntityTooLarge)
	pg.wantNothing()
}

func TestPushAccess(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.API.Keys = []string{"right"} })
	pg := p.openAs("7")
	const form = "type=publish&to=7&content=hi"
	address := "http://" + p.PushAddr() + "/"
	formType := []string{"Content-Type", "application/x-www-form-urlencoded"}
	same(t, "without a key", p.do(http.MethodPost, address, form, formType...).status, http.StatusForbidden)
	same(t, "with a wrong key", p.do(http.MethodPost, address, form+"&key=wrong", formType...).status, http.StatusForbidden)
	pg.wantNothing()
	same(t, "with a key", p.do(http.MethodPost, address, form, append(slices.Clone(formType), "X-Api-Key", "right")...).body, "ok")
	pg.want(`42["new_msg","hi"]`)

	changed := settings()
	changed.API.Keys = []string{"new"}
	if err := p.Reload(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	same(t, "with the old key", p.do(http.MethodPost, address, form+"&key=right", formType...).status, http.StatusForbidden)
	same(t, "with the new key", p.do(http.MethodPost, address, form+"&key=new", formType...).body, "ok")
	pg.want(`42["new_msg","hi"]`)
}
