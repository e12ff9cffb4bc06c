package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"crier/io/hub"
)

// mouth is a connection that can be asked; a test answers for it.
type mouth struct {
	ear
	member *hub.Member
	asked  chan *hub.Message
}

func (m *mouth) Member() *hub.Member { return m.member }
func (m *mouth) Forget(*hub.Message) {}

func (m *mouth) Deliver(msg *hub.Message) error {
	if a := msg.Ask(); a != nil {
		a.Expect(m)
		m.asked <- msg
		return nil
	}
	return m.ear.Deliver(msg)
}

// say acknowledges the message that it was asked for first.
func (m *mouth) say(args ...string) {
	list := []json.RawMessage{}
	for _, a := range args {
		list = append(list, json.RawMessage(a))
	}
	(<-m.asked).Ask().Answer(m, list, nil)
}

func talk(t testing.TB, h *hub.Hub, id, uid string) *mouth {
	t.Helper()
	m := &mouth{ear: ear{id: id}, asked: make(chan *hub.Message, 1000)}
	member, err := h.Connect(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(member.Gone)
	m.member = member
	if uid != "" {
		if err := member.Login(uid); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// body is the answer without the id of the message, which is new each time.
func body(w *httptest.ResponseRecorder) string {
	text := w.Body.String()
	if from := strings.Index(text, `"matched"`); from > 0 {
		return "{" + text[from:]
	}
	return text
}

const askAll = `{"to":{"all":true},"data":1,"ack":"2s"}`

func TestAck(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	a, b, c := talk(t, h, "a", "7"), talk(t, h, "b", "7"), talk(t, h, "c", "")
	go func() {
		b.say(`"seen"`, `{"x":[1]}`)
		c.say()
		a.say(`"é"`)
	}()
	got := body(do(s, "POST", "/v1/push", "", askAll))
	for _, part := range []string{
		`{"matched":{"users":1,"connections":3},"stored":false,"acked":{"users":1,"connections":3,"answers":[`,
		`{"connection":"b","uid":"7","args":["seen",{"x":[1]}]}`, `{"connection":"c","args":[]}`, `{"connection":"a","uid":"7","args":["é"]}`,
		`]},"duplicate":false}`,
	} {
		if !strings.Contains(got, part) {
			t.Errorf("%s lacks %s", got, part)
		}
	}
	if got := body(do(s, "POST", "/v1/push", "", `{"to":{"users":["nobody"]},"data":1,"ack":"60s"}`)); got !=
		`{"matched":{"users":0,"connections":0},"stored":false,"acked":{"users":0,"connections":0,"answers":[]},"duplicate":false}` {
		t.Error(got)
	}
	if got := body(do(s, "POST", "/v1/push", "", `{"to":{"all":true},"data":1,"ack":"60s","dry_run":true}`)); got !=
		`{"matched":{"users":1,"connections":3},"stored":false,"duplicate":false}` || len(a.asked) > 0 {
		t.Error(got)
	}
	if got := body(do(s, "POST", "/v1/push", "", `{"to":{"all":true},"data":1,"ack":null}`)); strings.Contains(got, "acked") || len(a.take()) != 1 {
		t.Error(got)
	}
}

// After the time, or when nobody is left, the result says how many have acknowledged.
func TestAckTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := realHub(t)
		s := newServer(t, Options{Pusher: h})
		a, b := talk(t, h, "a", "7"), talk(t, h, "b", "8")
		for _, c := range []struct {
			what string
			then func()
			took time.Duration
		}{
			{"late", func() {}, 2 * time.Second},
			{"gone", func() { (<-b.asked).Ask().Miss(b) }, 0},
		} {
			done := make(chan string)
			begun := time.Now()
			go func() { done <- body(do(s, "POST", "/v1/push", "", askAll)) }()
			a.say()
			c.then()
			got := <-done
			if took := time.Since(begun); took != c.took {
				t.Errorf("%s: it took %v", c.what, took)
			}
			if want := `"acked":{"users":1,"connections":1,"answers":[{"connection":"a","uid":"7","args":[]}]}`; !strings.Contains(got, want) {
				t.Errorf("%s: %s", c.what, got)
			}
			for range len(b.asked) {
				(<-b.asked).Ask().Answer(b, nil, nil) // too late
			}
		}
	})
}

// Binary answers are as binary arguments are; what is too large is counted.
func TestAckBinary(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	a := talk(t, h, "a", "")
	holder := `{"_placeholder":true,"num":0}`
	for _, c := range []struct {
		name, args string
		data       [][]byte
		want       string // "": it does not fit
	}{
		{"alone", `[` + holder + `]`, [][]byte{{1, 2, 3}}, `[{"$binary":"AQID"}]`},
		{"empty", `[{"num":0,"_placeholder":true}]`, [][]byte{{}}, `[{"$binary":""}]`},
		{"inside", `["{",{"x":[1, ` + holder + ` ,{"y":{"_placeholder":true,"num":1}}]},2]`, [][]byte{{1}, {2}}, `["{",{"x":[1, {"$binary":"AQ=="} ,{"y":{"$binary":"Ag=="}}]},2]`},
		{"no attachment", `[` + holder + `]`, nil, `[` + holder + `]`},
		{"another number", `[{"_placeholder":true,"num":1}]`, [][]byte{{1}}, `[{"_placeholder":true,"num":1}]`},
		{"repeated", `[` + strings.Repeat(holder+",", 200) + `1]`, [][]byte{make([]byte, 1000)}, ""},
		{"large", `["` + strings.Repeat("x", maxAnswers) + `"]`, nil, ""},
		{"not UTF-8", "[\"\xff\"]", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			go func() {
				var args []json.RawMessage
				for e := range elements([]byte(c.args)) {
					args = append(args, e)
				}
				(<-a.asked).Ask().Answer(a, args, c.data)
			}()
			got := body(do(s, "POST", "/v1/push", "", askAll))
			want := `"answers":[{"connection":"a","args":` + c.want + `}]}`
			if c.want == "" {
				want = `"acked":{"users":0,"connections":1,"answers":[],"truncated":true}`
			}
			if !strings.Contains(got, want) || !json.Valid([]byte(got)) {
				t.Errorf("%s lacks %s", got, want)
			}
		})
	}
}

// A key with an audience is not shown other users.
func TestAckOutsideTheAudience(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h, Access: Access{Limited: []Key{{Key: "k", Audience: "shop-"}}}})
	for _, uid := range []string{"shop-1", "secret"} {
		m := talk(t, h, uid+" page", uid)
		if err := m.member.Join("shop-room"); err != nil {
			t.Fatal(err)
		}
		go m.say()
	}
	w := do(s, "POST", "/v1/push", "", `{"to":{"rooms":["shop-room"]},"data":1,"ack":"2s"}`,
		header("X-Api-Key", "k"))
	got := body(w)
	if !strings.Contains(got, `"uid":"shop-1"`) || strings.Contains(got, `"uid":"secret"`) || !strings.Contains(got, `"acked":{"users":2,"connections":2,`) {
		t.Error(got)
	}
}

func TestAckRefused(t *testing.T) {
	s := newServer(t, Options{Pusher: &fakeHub{}})
	checkProblem(t, do(s, "POST", "/v1/push", "", askAll), codeUnsupported)
	s = newServer(t, Options{Pusher: &fakeHub{err: fmt.Errorf("asking: %w", hub.ErrTooManyAsked)}})
	w := do(s, "POST", "/v1/push", "", `{"to":{"all":true},"data":1}`)
	checkProblem(t, w, codeTooManyAcks)
	if w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	h := realHub(t)
	s = newServer(t, Options{Pusher: h})
	for range 2 { // a failed push is not remembered
		checkProblem(t, do(s, "POST", "/v1/push", "", `{"id":"x","to":{"users":["a\n"]},"data":1,"ack":"2s"}`), codeInvalidField)
	}
}

// Of many retries at once one asks, and all get its result, as do those who come later.
func TestAckID(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	a := talk(t, h, "a", "7")
	const push = `{"id":"order-1","to":{"users":["7"]},"data":1,"ack":"60s"}`
	const want = `{"matched":{"users":1,"connections":1},"stored":false,"acked":{"users":1,"connections":1,"answers":[{"connection":"a","uid":"7","args":["yes"]}]},"duplicate":`
	var wg sync.WaitGroup
	var mu sync.Mutex
	first := 0
	for range 64 {
		wg.Go(func() {
			got := body(do(s, "POST", "/v1/push", "", push))
			mu.Lock()
			defer mu.Unlock()
			switch got {
			case want + "false}":
				first++
			case want + "true}":
			default:
				t.Error(got)
			}
		})
	}
	m := <-a.asked
	m.Ask().Answer(a, []json.RawMessage{json.RawMessage(`"yes"`)}, nil)
	wg.Wait()
	if first != 1 || len(a.asked) > 0 {
		t.Errorf("%d first results, asked %d times more", first, len(a.asked))
	}
	if got := body(do(s, "POST", "/v1/push", "", push)); got != want+"true}" {
		t.Error(got)
	}
}

// A result is remembered without its answers once too many are, and what is forgotten makes room.
func TestAckRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newRepeats(10)
		learn := func(key string, size int) *acked {
			f, first, err := table.take(key)
			if err != nil || !first {
				t.Fatal(first, err)
			}
			table.land(key, f, outcome{acked: &acked{users: 1, connections: 2, answers: make([]byte, size)}}, nil)
			if len(f.acked.answers) != size {
				t.Error("the first result lacks its answers")
			}
			if f, first, err = table.take(key); err != nil || first || !f.over() {
				t.Fatal(first, err)
			}
			return f.acked
		}
		if a := learn("a", maxRemembered-1000); len(a.answers) != maxRemembered-1000 || a.truncated {
			t.Errorf("%d bytes, truncated: %v", len(a.answers), a.truncated)
		}
		if a := learn("b", 1001); string(a.answers) != "[]" || !a.truncated || a.users != 1 || a.connections != 2 {
			t.Errorf("%+v", a)
		}
		time.Sleep(repeatFor + time.Second)
		if a := learn("c", 1001); len(a.answers) != 1001 || table.kept != 1001 {
			t.Errorf("%d bytes, %d in all", len(a.answers), table.kept)
		}
	})
}

// The pushes of an array are all made before it waits, and the answers are in their order.
func TestAckArray(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	a, b := talk(t, h, "a", "7"), talk(t, h, "b", "8")
	go func() {
		second := <-b.asked
		first := <-a.asked
		second.Ask().Answer(b, []json.RawMessage{json.RawMessage("2")}, nil)
		first.Ask().Answer(a, []json.RawMessage{json.RawMessage("1")}, nil)
	}()
	w := do(s, "POST", "/v1/push/batch", "", `[{"to":{"users":["7"]},"data":1,"ack":"60s"},{},`+
		`{"id":"x","to":{"users":["8"]},"data":2,"ack":"60s"},{"to":{"users":["8"]},"data":3},{"id":"x","to":{"users":["8"]},"data":2,"ack":"60s"}]`)
	var got []struct {
		Code      string
		Duplicate bool
		Acked     *struct{ Answers []struct{ Args []int } }
	}
	decodeAnswer(t, w, &got)
	if len(got) != 5 || got[0].Acked == nil || got[0].Acked.Answers[0].Args[0] != 1 || got[1].Code != string(codeMissingField) ||
		got[2].Acked.Answers[0].Args[0] != 2 || got[3].Acked != nil || got[4].Acked.Answers[0].Args[0] != 2 || !got[4].Duplicate {
		t.Errorf("%s", w.Body)
	}
}

// On a link the lines behind one that waits are pushed at once, and answered in their turn.
func TestAckLines(t *testing.T) {
	h := realHub(t)
	in, out := open(t, serve(t, newServer(t, Options{Pusher: h})))
	checkAckLink(t, h, func(lines string) { writeLine(t, in, lines) }, func() []byte { return readLine(t, out) })
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if rest, err := out.ReadByte(); err == nil {
		t.Errorf("more answers: %c…", rest)
	}
}

func TestAckStream(t *testing.T) {
	h := realHub(t)
	_, server := streaming(t, Options{Pusher: h})
	conn, err := dial(t, server, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkAckLink(t, h, func(lines string) {
		if err := wsutil.WriteClientText(conn, []byte(lines)); err != nil {
			t.Fatal(err)
		}
	}, func() []byte {
		answer, err := wsutil.ReadServerText(conn)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	})
}

func checkAckLink(t *testing.T, h *hub.Hub, send func(string), next func() []byte) {
	t.Helper()
	a, b := talk(t, h, "a", "7"), talk(t, h, "b", "8")
	const ask, plain = `{"id":"ask","to":{"users":["7"]},"data":1,"ack":"60s"}`, `{"id":"plain","to":{"users":["8"]},"data":1}`
	send(plain + "\n")
	checkPrefix(t, next(), `{"id":"plain",`)
	send(ask + "\n{}\n" + strings.Replace(plain, "plain", "behind", 1) + "\n" + ask + "\n" + strings.Replace(ask, `"7"`, `"8"`, 1) + "\n" +
		`{"id":"other","to":{"users":["8"]},"data":1,"ack":"60s"}` + "\n")
	(<-b.asked).Ask().Answer(b, nil, nil) // the last line has been pushed
	if n := len(b.take()); n != 2 {
		t.Errorf("%d messages before the first answer", n)
	}
	a.say(`"yes"`)
	for _, want := range []string{`{"id":"ask",`, `{"type":"urn:crier:problem:missing_field"`, `{"id":"behind",`, `{"id":"ask",`, `{"id":"ask",`, `{"id":"other",`} {
		checkPrefix(t, next(), want)
	}
	if len(a.asked)+len(b.asked) > 0 {
		t.Error("a duplicate was pushed")
	}
	for i := range 3 * aheadOf { // and on
		send(strings.Replace(plain, "plain", fmt.Sprint("p", i), 1) + "\n")
		checkPrefix(t, next(), fmt.Sprintf(`{"id":"p%d",`, i))
	}
}

func checkPrefix(t *testing.T, got []byte, want string) {
	t.Helper()
	if !bytes.HasPrefix(got, []byte(want)) {
		t.Errorf("got %s, want %s…", got, want)
	}
}

// await waits until a condition holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	end := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// So many lines are pushed ahead of one that waits, and no more.
func TestAckLinesAhead(t *testing.T) {
	h := realHub(t)
	in, out := open(t, serve(t, newServer(t, Options{Pusher: h})))
	a, b := talk(t, h, "a", "7"), talk(t, h, "b", "8")
	const lines = 2*aheadOf + 10
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		writeLine(t, in, `{"to":{"users":["7"]},"data":1,"ack":"60s"}`+"\n")
		for range lines {
			writeLine(t, in, `{"to":{"users":["8"]},"data":1,"ack":"60s"}`+"\n")
		}
	}()
	first := <-a.asked
	// One is being pushed, and its answer waits for room.
	await(t, "lines ahead", func() bool { return len(b.asked) == aheadOf+1 })
	for range aheadOf + 1 {
		b.say()
	}
	if n := len(b.asked); n != 0 {
		t.Errorf("%d lines more were pushed", n)
	}
	first.Ask().Answer(a, nil, nil)
	go func() {
		for range lines - aheadOf - 1 {
			b.say()
		}
	}()
	for range lines + 1 {
		checkLine(t, readLine(t, out), "")
	}
	<-sent
}

// A link that the server ends is answered first; one that its caller breaks off is not waited for.
func TestAckLinkEnds(t *testing.T) {
	t.Run("the server", func(t *testing.T) {
		h := realHub(t)
		s, server := streaming(t, Options{Pusher: h})
		conn, err := dial(t, server, nil)
		if err != nil {
			t.Fatal(err)
		}
		in, out := open(t, server)
		a := talk(t, h, "a", "7")
		if err := wsutil.WriteClientText(conn, []byte(askAll)); err != nil {
			t.Fatal(err)
		}
		writeLine(t, in, askAll+"\n")
		one, two := <-a.asked, <-a.asked
		s.Close()
		one.Ask().Answer(a, nil, nil)
		two.Ask().Miss(a)
		checkLine(t, readLine(t, out), "")
		answer, err := wsutil.ReadServerText(conn)
		if err != nil {
			t.Fatal(err)
		}
		checkLine(t, answer, "")
		checkClosed(t, conn, ws.StatusGoingAway)
	})
	t.Run("the caller", func(t *testing.T) {
		h := realHub(t)
		s, server := streaming(t, Options{Pusher: h})
		conn, _, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/v1/stream")
		if err != nil {
			t.Fatal(err)
		}
		a := talk(t, h, "a", "7")
		if err := wsutil.WriteClientText(conn, []byte(strings.Replace(askAll, "2s", "60s", 1))); err != nil {
			t.Fatal(err)
		}
		<-a.asked
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		await(t, "the end of the link", func() bool {
			s.links.mu.Lock()
			defer s.links.mu.Unlock()
			return len(s.links.open) == 0
		})
	})
}
