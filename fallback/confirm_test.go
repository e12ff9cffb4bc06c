package fallback_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"crier/io/engineio"
)

// confirm asks for a confirmation and writes "arrived" or "lost" to the channel when it comes.
func (p *peer) confirm() <-chan string {
	told := make(chan string, 2)
	p.session.Confirm(nil, func(ok bool) {
		if ok {
			told <- "arrived"
		} else {
			told <- "lost"
		}
	})
	return told
}

// open checks that nothing has been told yet.
func wantOpen(t testing.TB, told <-chan string) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-told:
		t.Fatalf("%q too early", got)
	default:
	}
}

func TestNextGetConfirms(t *testing.T) {
	for name, times := range map[string][]string{ // as clients write them
		"1.x":          {"1416848461132-0", "1416848461132-1", "1416848461133-2", "1416848461134-3"},
		"2.x":          {"PKcWtUA", "PKcWtUA.0", "PKcWtUA.1", "PKcWtUC"},
		"4.x":          {"abcd1234", "efgh5678", "ijkl9012", "mnop3456"},
		"no timestamp": {"", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
				p := r.open("EIO=4&transport=polling")
				p.send("one")
				one := p.confirm()
				wantOpen(t, one)
				wantAnswer(t, p.getAt(times[0]), http.StatusOK, "4one")
				wantOpen(t, one)
				late := p.confirm() // of the same answer
				wantOpen(t, late)
				p.send("two")
				two := p.confirm()
				wantAnswer(t, p.getAt(times[1]), http.StatusOK, "4two")
				want(t, one, "arrived")
				want(t, late, "arrived")
				wantOpen(t, two)

				waiting := make(chan answer, 1)
				go func() { waiting <- p.getAt(times[2]) }()
				want(t, two, "arrived")
				synctest.Wait()
				want(t, p.confirm(), "arrived") // nothing is on its way
				p.send("three")
				three := p.confirm()
				wantAnswer(t, next(t, waiting), http.StatusOK, "4three")
				wantOpen(t, three)
				p.session.Close()
				want(t, three, "lost")
				want(t, p.confirm(), "lost")
			})
		})
	}
}

// A browser whose connection broke sends the GET once more, with the same timestamp.
func TestRepeatedGetIsAnsweredAgain(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=4&transport=polling")
		p.send("one")
		p.send("two")
		told := p.confirm()
		for range 3 {
			wantAnswer(t, p.getAt("x"), http.StatusOK, "4one\x1e4two")
			wantOpen(t, told)
			p.send("more")
		}
		wantAnswer(t, p.getAt("y"), http.StatusOK, "4more\x1e4more\x1e4more")
		want(t, told, "arrived")
		p.send("last")
		wantAnswer(t, p.getAt("x"), http.StatusOK, "4last") // not the one before
	})
}

func TestRepeatedGetOverJSONP(t *testing.T) {
	bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
		p := r.open("EIO=3&transport=polling&j=0&t=M1")
		p.send("one")
		told := p.confirm()
		for _, index := range []string{"0", "1"} {
			a := p.do(context.Background(), http.MethodGet, strings.Replace(p.query, "j=0", "j="+index, 1)+"&t=M2", nil)
			if got := unscript(t, a.body); got != "4:4one" || !strings.HasPrefix(a.body, "___eio["+index) {
				t.Errorf("answer %q", a.body)
			}
			wantOpen(t, told)
		}
		p.send("two")
		p.do(context.Background(), http.MethodGet, p.query+"&t=M3", nil)
		want(t, told, "arrived")
	})
}

// An upgrade confirms what was polled; what was not goes over to the WebSocket, and so does its confirmation.
func TestUpgradeConfirms(t *testing.T) {
	for revision, answers := range map[string]func(*socket){
		"4": func(s *socket) {
			want(t, s.got, "2")
			s.send("3")
		},
		"3": func(s *socket) { // the test's socket answers pings as a platform does
			s.send("2")
			want(t, s.got, "3")
		},
	} {
		t.Run(revision, func(t *testing.T) {
			bubble(t, engineio.Options{}, func(t *testing.T, r *rig) {
				p := r.open("EIO=" + revision + "&transport=polling")
				p.send("one")
				polled := p.confirm()
				p.get()
				s := r.ws("EIO=" + revision + "&transport=websocket&sid=" + p.session.ID())
				s.send("2probe")
				want(t, s.got, "3probe")
				p.send("two")
				unsent, again := p.confirm(), p.confirm()
				wantOpen(t, polled)
				s.send("5")
				want(t, s.got, "4two")
				want(t, polled, "arrived")
				wantOpen(t, unsent)
				answers(s)
				want(t, unsent, "arrived")
				if revision == "4" {
					answers(s)
				}
				want(t, again, "arrived")
			})
		})
	}
}
