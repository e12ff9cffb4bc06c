package fallback_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crier/io/engineio"
)

// probe offers a WebSocket to the session.
func (p *peer) probe() *socket {
	p.t.Helper()
	s := p.ws(p.query)
	s.send("2probe")
	want(p.t, s.got, "3probe")
	return s
}

// wantMoved checks that requests with the session's id are refused, and that
// the session is alive on the WebSocket.
func (p *peer) wantMoved(s *socket) {
	p.t.Helper()
	for range 2 {
		for _, a := range []answer{p.get(), p.post("4old"), p.post("1")} {
			if a.err != nil || a.status != http.StatusBadRequest || !strings.HasPrefix(a.body, `{"code":3,`) {
				p.t.Errorf("by HTTP: %+v", a)
			}
		}
		other := p.ws(p.query)
		want(p.t, other.got, "close")
		s.send("4hello")
		want(p.t, p.events, "text hello")
		p.send("hello")
		want(p.t, s.got, "4hello")
	}
}

func TestUpgrade(t *testing.T) {
	for query, noop := range map[string]string{"EIO=4": "6", "EIO=3": "1:6", "EIO=3&b64=1": "1:6"} {
		t.Run(query, func(t *testing.T) {
			bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
				p := r.open(query)
				waits := p.goGet()
				synctest.Wait()
				s := p.probe()
				wantAnswer(t, next(t, waits), http.StatusOK, noop)
				// The client polls until it is ready, and sends meanwhile.
				start := time.Now()
				for range 3 {
					wantAnswer(t, p.get(), http.StatusOK, noop)
				}
				if took := time.Since(start); took < 200*time.Millisecond || took > 400*time.Millisecond {
					t.Errorf("three GETs took %v", took)
				}
				in := "4posted"
				if strings.HasPrefix(query, "EIO=3") {
					in = "7:4posted"
				}
				wantAnswer(t, p.post(in), http.StatusOK, "ok")
				want(t, p.events, "text posted")
				s.send("5")
				s.send("4hello")
				want(t, p.events, "text hello")
				p.wantMoved(s)
				if st := r.srv.Stats(); st.Upgrades != 1 || st.Sessions != 1 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// What is sent while the client moves arrives once, in order, on the one
// transport or the other.
func TestMessagesWhileUpgrading(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		n := 0
		send := func() string {
			n++
			p.send(fmt.Sprint(n))
			return fmt.Sprintf("4%d", n)
		}
		one := send()
		s := p.probe()
		synctest.Wait() // the nudge that follows the probe comes now, if at all
		two := send()
		wantAnswer(t, p.get(), http.StatusOK, one+"\x1e"+two)
		waits := p.goGet()
		synctest.Wait()
		three := send()
		wantAnswer(t, next(t, waits), http.StatusOK, three)
		four, five := send(), send()
		p.send("six", []byte{6}) // with an attachment
		s.send("5")
		want(t, s.got, four, five, "4six", "binary 06", send())
		p.wantMoved(s)
	})
}

// A client whose GET still waits when it sends the upgrade packet.
func TestGetWaitsWhileTheSessionMoves(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		s := p.probe()
		waits := p.goGet()
		synctest.Wait()
		s.send("5")
		if a := next(t, waits); a.status != http.StatusBadRequest && a.body != "6" {
			t.Errorf("%+v", a)
		}
		p.wantMoved(s)
	})
}

// A session does not move while a POST of the client is being read: its
// messages would be overtaken. It stays on polling.
func TestUpgradeWhileAPostIsRead(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		s := p.probe()
		body, w := io.Pipe()
		posted := make(chan answer, 1)
		go func() { posted <- p.do(context.Background(), http.MethodPost, p.query, body) }()
		if _, err := io.WriteString(w, "4po"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.send("5")
		want(t, s.got, "close")
		if _, err := io.WriteString(w, "sted"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		wantAnswer(t, next(t, posted), http.StatusOK, "ok")
		want(t, p.events, "text posted")
		p.wantOnPolling()
	})
}

// wantOnPolling checks that the session goes on on polling, and that it can
// still be upgraded.
func (p *peer) wantOnPolling() {
	p.t.Helper()
	p.send("still here")
	wantAnswer(p.t, p.get(), http.StatusOK, "4still here")
	wantAnswer(p.t, p.post("4hello"), http.StatusOK, "ok")
	want(p.t, p.events, "text hello")
	waits := p.goGet()
	time.Sleep(time.Second)
	if len(waits) > 0 {
		p.t.Errorf("a GET is answered with %+v", <-waits)
	}
	s := p.probe()
	wantAnswer(p.t, next(p.t, waits), http.StatusOK, "6")
	s.send("5")
	p.wantMoved(s)
}

func TestFailedUpgradeLeavesPolling(t *testing.T) {
	for name, fail := range map[string]func(p *peer){
		"lost": func(p *peer) { p.ws(p.query).drop() },
		"lost after the probe": func(p *peer) {
			s := p.probe()
			wantAnswer(p.t, p.get(), http.StatusOK, "6")
			s.drop()
		},
		"timed out": func(p *peer) {
			s := p.probe()
			time.Sleep(10*time.Second + 30*time.Millisecond)
			s.send("5") // too late
		},
		"timed out without a probe": func(p *peer) {
			p.ws(p.query)
			time.Sleep(10*time.Second + 30*time.Millisecond)
		},
		"nonsense": func(p *peer) { p.ws(p.query).send("4hello") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
				p := r.open("EIO=4")
				fail(p)
				synctest.Wait()
				p.wantOnPolling()
			})
		})
	}
}

// A session that is closed while its client moves tells it through the poll.
func TestCloseWhileUpgrading(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4")
		s := p.probe()
		p.send("last")
		p.session.Close()
		s.send("5")
		for range s.got { // until it ends
			t.Error("the WebSocket got something")
		}
		wantAnswer(t, p.get(), http.StatusOK, "4last")
		wantAnswer(t, p.get(), http.StatusOK, "1")
		p.wantEnded(engineio.ForcedClose)
	})
}
