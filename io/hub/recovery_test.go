package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func recoveryOptions() *Recovery {
	return &Recovery{Window: time.Minute, MaxMessages: 100, MaxBytes: 1 << 20}
}

// track connects a client that can recover, as a user.
func track(t testing.TB, h *Hub, id, uid string) (*Member, *lineConn, Beginning) {
	t.Helper()
	c := &lineConn{id: id}
	m := connect(t, h, c)
	if err := m.Login(uid); err != nil {
		t.Fatal(err)
	}
	var b Beginning
	if err := m.Track(func(given Beginning) error { b = given; return nil }); err != nil {
		t.Fatal(err)
	}
	return m, c, b
}

// tracked returns the connection that has a PID.
func tracked(h *Hub, pid string) Conn {
	c, _ := h.Tracked(pid)
	return c
}

func TestRecoveryOptions(t *testing.T) {
	for _, o := range []Recovery{
		{},
		{Window: -1},
		{Window: time.Second, Notice: -1},
		{Window: time.Second, MaxMessages: -1},
		{Window: time.Second, MaxBytes: -1},
		{Window: time.Second, ReplayMessages: -1},
		{Window: time.Second, ReplayBytes: -1},
	} {
		if h, err := New(Options{Recovery: &o}); err == nil {
			t.Errorf("%+v is taken: %v", o, h)
		}
	}
}

// A hub without Recovery has none of it.
func TestNoRecovery(t *testing.T) {
	h := newHub(t, Options{})
	m, _ := join(t, h, "c", "42")
	if err := m.Track(nil); !errors.Is(err, ErrNoRecovery) {
		t.Errorf("Track = %v", err)
	}
	m.Away("kept")
	if h.Recovers() || h.HasAway() || h.Claim("x", "") != nil || tracked(h, "x") != nil {
		t.Error("there is something to recover")
	}
	if err := h.SaveRecovery(func([]byte) error { return errors.New("called") }); err != nil {
		t.Error(err)
	}
}

// Who looks for a connection while somebody else is about to have its place learns what has become of that.
func TestTrackedWaits(t *testing.T) {
	for _, tt := range []struct {
		name  string
		end   func(*Past, *Member) error
		there bool
	}{
		{"recovered", func(p *Past, m *Member) error { return m.Recover(p, func(Beginning) error { return nil }) }, true},
		{"released", func(p *Past, _ *Member) error { p.Release(); return nil }, false},
		{"forgotten", func(p *Past, _ *Member) error { p.Forget(); return nil }, false},
		{"nothing for a second", func(*Past, *Member) error { time.Sleep(patience + time.Millisecond); return nil }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, Options{Recovery: recoveryOptions()})
				m, _, b := track(t, h, "c", "42")
				m.Away(nil)
				p := h.Claim(b.PID, b.Offset)
				next := connect(t, h, &lineConn{id: p.ID()})
				found := make(chan Conn, 1)
				go func() { found <- tracked(h, b.PID) }()
				synctest.Wait()
				select {
				case c := <-found:
					t.Fatalf("it does not wait, but finds %v", c)
				default:
				}
				if err := tt.end(p, next); err != nil {
					t.Fatal(err)
				}
				if c := <-found; (c != nil) != tt.there || tt.there && c != next.Conn() {
					t.Errorf("found %v", c)
				}
				p.Release()
				next.Gone()
			})
		})
	}
}

// What bounds the log and the replay; one client has missed five messages for it, each of more than 100 bytes.
func TestRecoveryBounds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Recovery)
		lost   bool
	}{
		{"none", func(*Recovery) {}, false},
		{"enough messages", func(o *Recovery) { o.MaxMessages = 5 }, false},
		{"too few messages", func(o *Recovery) { o.MaxMessages = 4 }, true},
		{"no messages", func(o *Recovery) { o.MaxMessages = 0 }, true},
		{"enough bytes", func(o *Recovery) { o.MaxBytes = 5 * 800 }, false},
		{"too few bytes", func(o *Recovery) { o.MaxBytes = 4 * 600 }, true},
		{"no room for the client", func(o *Recovery) { o.MaxBytes = 500 }, true},
		{"replay of enough messages", func(o *Recovery) { o.ReplayMessages = 5 }, false},
		{"replay of too few messages", func(o *Recovery) { o.ReplayMessages = 4 }, true},
		{"replay of enough bytes", func(o *Recovery) { o.ReplayBytes = 1000 }, false},
		{"replay of too few bytes", func(o *Recovery) { o.ReplayBytes = 500 }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := recoveryOptions()
			tt.change(o)
			h := newHub(t, Options{Recovery: o})
			m, _, b := track(t, h, "c", "42")
			m.Away(nil)
			for i := range 5 {
				msg := message(fmt.Sprint("m", i))
				msg.Args = []json.RawMessage{json.RawMessage(`"` + strings.Repeat("x", 100) + `"`)}
				if _, err := h.Push(context.Background(), Push{To: Audience{Users: []string{"42"}}, Message: msg}); err != nil {
					t.Fatal(err)
				}
				push(t, h, "for somebody else", Audience{Users: []string{"43"}}) // takes no room
			}
			if p := h.Claim(b.PID, b.Offset); (p == nil) != tt.lost {
				t.Errorf("claimed %v, want lost %v", p, tt.lost)
			} else if p != nil {
				p.Forget()
			}
			if h.HasAway() {
				t.Error("the client is away still")
			}
		})
	}
}

// A client that is idle can recover although messages have long been dropped, as long as they were for others.
func TestRecoveryOfAnIdleClient(t *testing.T) {
	o := recoveryOptions()
	o.MaxMessages = 5
	h := newHub(t, Options{Recovery: o})
	m, c, b := track(t, h, "idle", "42")
	track(t, h, "busy", "43")
	push(t, h, "m", Audience{Users: []string{"42"}})
	offset := c.cut(0)[0].offset
	for range 20 {
		push(t, h, "x", Audience{Users: []string{"43"}})
	}
	m.Away(nil)
	if p := h.Claim(b.PID, offset); p == nil {
		t.Error("lost")
	} else {
		p.Release()
	}
	if p := h.Claim(b.PID, b.Offset); p != nil {
		t.Error("recovered although a message is missing")
	}
}

// Messages are kept for the window and for as long as the loss may go unnoticed; clients for the window.
func TestRecoveryWindow(t *testing.T) {
	for _, tt := range []struct {
		name           string
		before, absent time.Duration // from the message to the loss, and from that to the return
		lost           bool
	}{
		{"at once", 0, 0, false},
		{"just in time", 0, 59 * time.Second, false},
		{"too late", 0, 60 * time.Second, true},
		{"noticed late", 19 * time.Second, 59 * time.Second, false},
		{"noticed too late", 25 * time.Second, 59 * time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := recoveryOptions()
				o.Notice = 20 * time.Second
				h := newHub(t, Options{Recovery: o})
				m, _, b := track(t, h, "c", "42")
				push(t, h, "lost in flight", Audience{Users: []string{"42"}})
				time.Sleep(tt.before)
				m.Away(nil)
				time.Sleep(tt.absent)
				push(t, h, "another", Audience{Users: []string{"42"}}) // old messages go when one comes
				if p := h.Claim(b.PID, b.Offset); (p == nil) != tt.lost {
					t.Errorf("claimed %v, want lost %v", p, tt.lost)
				}
			})
		})
	}
}

// Messages that are too old go by themselves while clients are there: 20 of 100 KB to a user, and none behind them, were kept for as
// long as nobody was pushed to.
func TestOldMessagesGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := recoveryOptions()
		o.Notice = 20 * time.Second
		o.MaxBytes = 10 << 20
		h := newHub(t, Options{Recovery: o})
		m, c, b := track(t, h, "c", "42")
		for range 2 { // also when all have gone before
			for n := range 20 {
				if n == 10 {
					time.Sleep(time.Second)
				}
				msg := message("m")
				msg.Args = []json.RawMessage{json.RawMessage(`"` + strings.Repeat("x", 100_000) + `"`)}
				if _, err := h.Push(t.Context(), Push{To: Audience{Users: []string{"42"}}, Message: msg}); err != nil {
					t.Fatal(err)
				}
			}
			checkLogged(t, h, 20)
			time.Sleep(o.Window + o.Notice - time.Second + 1)
			checkLogged(t, h, 10)
			time.Sleep(time.Second)
			checkLogged(t, h, 0)
		}

		push(t, h, "saved", Audience{Users: []string{"42"}})
		m.Away(nil)
		o.Restore = func(fn func([]byte) error) error { return h.SaveRecovery(fn) }
		next := newHub(t, Options{Recovery: o})
		got := c.cut(0)
		p := next.Claim(b.PID, got[len(got)-1].offset)
		if p == nil {
			t.Fatal("lost")
		}
		if err := connect(t, next, &lineConn{id: "c"}).Recover(p, func(Beginning) error { return nil }); err != nil {
			t.Fatal(err)
		}
		checkLogged(t, next, 1)
		time.Sleep(o.Window + o.Notice + 1)
		checkLogged(t, next, 0)
	})
}

// checkLogged checks how many messages are kept for who comes back.
func checkLogged(t *testing.T, h *Hub, want int) {
	t.Helper()
	synctest.Wait()
	var n, bytes int
	h.recovery.baton.with(func() { n, bytes = len(h.recovery.memory.records), h.recovery.memory.bytes })
	if n != want || (bytes == 0) != (want == 0) {
		t.Errorf("%d messages of %d bytes, want %d", n, bytes, want)
	}
}

// Only one can claim what a client has left; it waits again when that has come to nothing.
func TestClaimIsExclusive(t *testing.T) {
	h := newHub(t, Options{Recovery: recoveryOptions()})
	m, c, b := track(t, h, "c", "42")
	if tracked(h, b.PID) != Conn(c) || h.Claim(b.PID, b.Offset) != nil {
		t.Error("a client that is here can be claimed, or is not found")
	}
	m.Away("kept")
	p := h.Claim(b.PID, b.Offset)
	if p == nil || p.Kept() != "kept" || p.UID() != "42" || p.ID() != "c" {
		t.Fatalf("claimed %+v", p)
	}
	if h.Claim(b.PID, b.Offset) != nil || tracked(h, b.PID) != nil {
		t.Error("claimed twice")
	}
	p.Release()
	p.Forget() // does nothing any more
	if p = h.Claim(b.PID, b.Offset); p == nil || p.Forgotten() {
		t.Fatal("not there again")
	}
	other := connect(t, h, &lineConn{id: "c"})
	if err := other.Login("43"); err != nil {
		t.Fatal(err)
	}
	if err := other.Recover(p, nil); !errors.Is(err, ErrLost) || !p.Forgotten() {
		t.Errorf("Recover as another user = %v", err)
	}
	if h.Claim(b.PID, b.Offset) != nil || h.HasAway() {
		t.Error("there still")
	}
}

// What is asked for an acknowledgement and what is volatile is not replayed, and has an offset.
func TestUnloggedHaveOffsets(t *testing.T) {
	h := newHub(t, Options{Recovery: recoveryOptions()})
	m, c, b := track(t, h, "c", "42")
	for _, msg := range []*Message{
		{ID: "volatile", Event: "e", Volatile: true}, {ID: "transient", Event: "e", Transient: true}, {ID: "ask", Event: "e"},
	} {
		p := Push{To: Audience{All: true}, Message: msg}
		var err error
		if msg.ID == "ask" {
			_, err = h.Ask(context.Background(), p, Question{Wait: time.Hour, Done: func(Answers) {}})
		} else {
			_, err = h.Push(context.Background(), p)
		}
		if err != nil {
			t.Fatal(err)
		}
		got := c.cut(0)
		if len(got) != 1 || got[0].id != msg.ID || got[0].offset == "" || got[0].offset == b.Offset {
			t.Errorf("%s arrived as %+v", msg.ID, got)
		}
	}
	m.Away(nil)
	p := h.Claim(b.PID, b.Offset)
	if p == nil {
		t.Fatal("lost")
	}
	again := connect(t, h, &lineConn{id: "c"})
	if err := again.Recover(p, func(b Beginning) error {
		if len(b.Missed) != 0 {
			t.Errorf("replayed %+v", b.Missed)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// A message is replayed as it was, and what the pusher does with its memory afterwards is no matter.
func TestReplayIsACopy(t *testing.T) {
	h := newHub(t, Options{Recovery: recoveryOptions()})
	m, _, b := track(t, h, "c", "42")
	m.Away(nil)
	arg, data := []byte(`"text"`), []byte{1, 2, 3}
	users := []string{"42"}
	msg := &Message{ID: "m", Event: "e", Args: []json.RawMessage{arg, json.RawMessage("null")}, Attachments: [][]byte{data}}
	if _, err := h.Push(context.Background(), Push{To: Audience{Users: users}, Message: msg}); err != nil {
		t.Fatal(err)
	}
	clear(arg)
	clear(data)
	users[0] = "43"
	var records [][]byte
	if err := h.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := h.SaveRecovery(func(r []byte) error { records = append(records, r); return nil }); err != nil {
		t.Fatal(err)
	}
	o := recoveryOptions()
	o.Restore = func(fn func([]byte) error) error {
		for _, r := range records {
			if err := fn(r); err != nil {
				return err
			}
		}
		return nil
	}
	h = newHub(t, Options{Recovery: o})
	p := h.Claim(b.PID, b.Offset)
	if p == nil {
		t.Fatal("lost")
	}
	again := connect(t, h, &lineConn{id: "c"})
	err := again.Recover(p, func(b Beginning) error {
		if len(b.Missed) != 1 {
			t.Fatalf("replayed %+v", b.Missed)
		}
		got := b.Missed[0]
		want := []json.RawMessage{json.RawMessage(`"text"`), json.RawMessage("null")}
		if got.ID != "m" || got.Event != "e" || !reflect.DeepEqual(got.Args, want) || !reflect.DeepEqual(got.Attachments, [][]byte{{1, 2, 3}}) {
			t.Errorf("replayed %+v", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What cannot be restored keeps nobody from starting.
func TestRestoreWhatIsDamaged(t *testing.T) {
	for _, record := range []string{"", "{}", `{"head":{"Format":99}}`, "[", `{"trail":7}`} {
		o := recoveryOptions()
		o.Restore = func(fn func([]byte) error) error {
			good := `{"trail":{"PID":"p","ID":"c","Until":"2999-01-01T00:00:00Z"}}`
			return errors.Join(fn([]byte(`{"head":{"Format":1,"Epoch":"e","At":7,"Lost":3}}`)), fn([]byte(good)), fn([]byte(record)))
		}
		h := newHub(t, Options{Recovery: o})
		if h.HasAway() || h.recovery.active() {
			t.Errorf("%q: somebody is away", record)
		}
	}
}

// The baton goes round: everybody's turn is taken once, alone, and nobody takes those of others for ever.
func TestBaton(t *testing.T) {
	var b baton
	const callers, each = 20, 100
	inside, taken := 0, 0
	done := make(chan struct{})
	for range callers {
		go func() {
			for range each {
				b.with(func() {
					if inside++; inside != 1 {
						t.Error("two turns at a time")
					}
					taken++
					inside--
				})
			}
			done <- struct{}{}
		}()
	}
	for range callers {
		<-done
	}
	if taken != callers*each || b.taken || b.queue != nil {
		t.Errorf("%d turns were taken, want %d; it is left as %+v", taken, callers*each, &b)
	}
}

// A client that goes in and out of rooms all the time is given up in the end, and takes no more memory.
func TestTrailIsBounded(t *testing.T) {
	h := newHub(t, Options{Recovery: recoveryOptions()})
	m, c, b := track(t, h, "c", "42")
	if err := m.Join("stays"); err != nil {
		t.Fatal(err)
	}
	for i := range 10 * maxSpans {
		if err := m.Join("room"); err != nil {
			t.Fatal(err)
		}
		push(t, h, "x", Audience{Users: []string{"somebody else"}})
		m.Leave("room")
		if n := len(m.trail().spans); n > maxSpans/16+3 {
			t.Fatalf("%d spans after %d visits to a room in which nothing was pushed", n, i)
		}
	}
	h.recovery.MaxMessages = 1 << 20
	h.recovery.memory.maxMessages = 1 << 20
	h.recovery.memory.maxBytes = 1 << 30
	for range 2 * maxSpans {
		if err := m.Join("room"); err != nil {
			t.Fatal(err)
		}
		push(t, h, "x", Audience{Rooms: []string{"room"}})
		m.Leave("room")
	}
	if n := len(m.trail().spans); n > maxSpans+3 {
		t.Errorf("%d spans", n)
	}
	m.Away(nil)
	if p := h.Claim(b.PID, c.cut(0)[0].offset); p != nil {
		t.Error("recovered")
	}
	if h.recovery.active() {
		t.Error("there is a trail still")
	}
}
