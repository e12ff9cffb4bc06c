package fallback_test

import (
	"fmt"
	"net/http"
	"testing"

	"crier/fallback"
	"crier/io/hub"
)

// gate is a connection that takes nothing before it is open.
type gate struct {
	id      string
	arrived chan struct{} // a token for each message that waits
	open    chan struct{}
}

func (g gate) ID() string { return g.id }

func (g gate) Deliver(*hub.Message) error {
	select {
	case g.arrived <- struct{}{}:
	default:
	}
	<-g.open
	return nil
}

func (g gate) Kick() {}

// What is pushed to everybody while something else is on its way reaches each client in one piece, in order, and nothing twice.
func TestBroadcastsInOnePiece(t *testing.T) {
	d := newDesk(t, true, fallback.Options{})
	first := gate{"first", make(chan struct{}, 1), make(chan struct{})}
	opened := gate{open: make(chan struct{})}
	close(opened.open)
	for i := range 65 { // enough for broadcasts to go together, the first of whom everybody else waits for
		conn := gate{id: fmt.Sprint(i), open: opened.open}
		if i == 0 {
			conn = first
		}
		m, err := d.hub.Connect(conn)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Gone()
	}
	plain := d.frames("/ws?uid=ws", false)
	sock := d.frames("/sockjs/000/a/websocket?uid=sock", false)
	flow := d.open(http.MethodGet, "/sse?uid=sse")
	flow.wantRetry()
	for _, uid := range []string{"ws", "sock", "sse"} {
		d.awaitUser(uid, 1)
	}
	push := func(m *hub.Message) {
		t.Helper()
		if _, err := d.hub.Push(t.Context(), hub.Push{To: hub.Audience{All: true}, Message: m, Soon: true}); err != nil {
			t.Fatal(err)
		}
	}
	push(message("m0", "e", []string{"0"}))
	<-first.arrived
	for i := 1; i < 10; i++ {
		push(message(fmt.Sprint("m", i), "e", []string{fmt.Sprint(i)}))
	}
	push(&hub.Message{ID: "m10", Event: "e", Attachments: [][]byte{[]byte("AAE=")}})
	close(first.open)
	var texts, socks, blocks []string
	for i := range 11 {
		arg := fmt.Sprint(i)
		if i == 10 {
			arg = `{"$binary":"AAE="}`
		}
		text := fmt.Sprintf(`{"id":"m%d","event":"e","args":[%s]}`, i, arg)
		texts = append(texts, text)
		socks = append(socks, fmt.Sprintf("a[%q]", text))
		blocks = append(blocks, fmt.Sprintf("id: m%d\nevent: e\ndata: [%s]\n\n", i, arg))
	}
	want(t, plain.got, texts...)
	want(t, sock.got, append([]string{"o"}, socks...)...)
	flow.want(blocks...)
	d.push("last", "ws", "e")
	want(t, plain.got, `{"id":"last","event":"e","args":[]}`)
}
