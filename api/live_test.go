package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// fakePulse has some samples, and ends then.
type fakePulse struct {
	samples []*Sample
	between func() // called before each but the first
}

func (p *fakePulse) Follow(_ context.Context, after time.Time, fn func(*Sample) error) error {
	for i, one := range p.samples {
		if !one.Time.After(after) {
			continue
		}
		if i > 0 && p.between != nil {
			p.between()
		}
		if err := fn(one); err != nil {
			return err
		}
	}
	return nil
}

// threeSamples are one second apart.
func threeSamples() *fakePulse {
	p := &fakePulse{}
	for i := range 3 {
		one := &Sample{
			Time: time.UnixMilli(1770000000000 + int64(i)*1000).UTC(), Users: i, Sockets: []SocketCount{{"websocket", 4, 2}, {Transport: "sse", Count: 1}},
			Latency: &Latency{P50: 0.001, P99: 0.002},
		}
		one.SetCallbacks(newCallbacks(1))
		p.samples = append(p.samples, one)
	}
	return p
}

// events checks an answer and returns the data of its events.
func events(t *testing.T, w interface{ Result() *http.Response }, body string) []Sample {
	t.Helper()
	res := w.Result()
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v: %s", res.StatusCode, res.Header, body)
	}
	var all []Sample
	for block := range strings.SplitSeq(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		if block == "" {
			continue
		}
		id, rest, _ := strings.Cut(block, "\nevent: sample\ndata: ")
		if err := visit(described.doc.Components.Schemas["Sample"], []byte(rest)); err != nil {
			t.Errorf("%s is against openapi.json: %v", rest, err)
		}
		var one Sample
		if err := json.Unmarshal([]byte(rest), &one); err != nil {
			t.Fatalf("%q: %v", block, err)
		}
		if id != "id: "+strings.TrimSpace(id[4:]) || !strings.HasPrefix(id, "id: 17700000") {
			t.Errorf("the id is %q", id)
		}
		all = append(all, one)
	}
	return all
}

func TestLive(t *testing.T) {
	s := newServer(t, Options{Pusher: realHub(t), Pulse: threeSamples()})
	w := do(s, "GET", "/v1/stats/live", "", "")
	all := events(t, w, w.Body.String())
	if len(all) != 3 || all[2].Users != 2 || all[0].Webhooks == nil || all[0].Webhooks.Failed != 4 || len(all[0].Sockets) != 2 || all[0].Latency.P99 != 0.002 {
		t.Errorf("the samples are %+v", all)
	}
	// Who comes back gets what he has missed.
	w = do(s, "GET", "/v1/stats/live", "", "", header("Last-Event-ID", "1770000001000"))
	if all := events(t, w, w.Body.String()); len(all) != 1 || all[0].Users != 2 {
		t.Errorf("behind the second came %+v", all)
	}
	checkProblem(t, do(s, "GET", "/v1/stats/live", "", "", header("Last-Event-ID", "x")), codeInvalidCursor)
	checkProblem(t, do(s, "GET", "/v1/stats/live?limit=1", "", ""), codeUnknownField)
	checkProblem(t, do(newServer(t, Options{Pusher: realHub(t)}), "GET", "/v1/stats/live", "", ""), codeUnsupported)
	if w := do(s, "HEAD", "/v1/stats/live", "", ""); w.Code != http.StatusOK || w.Body.Len() > 0 {
		t.Errorf("HEAD: %d %s", w.Code, w.Body)
	}
}

// A watcher whose key, or session, is taken away gets no more.
func TestLiveEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		take func(s *Server, b *browser)
	}{
		{"key", func(s *Server, _ *browser) {
			if err := s.SetAccess(Access{Keys: []string{"another"}}); err != nil {
				t.Error(err)
			}
		}},
		{"session", func(_ *Server, b *browser) { b.call("DELETE", "/admin/session", "") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := threeSamples()
			s := newServer(t, Options{Pusher: realHub(t), Pulse: p, Dashboard: pagesOfDashboard(), Access: Access{Keys: []string{"k"}}})
			b := &browser{s: s, peer: stranger}
			b.signIn(t, "k")
			watcher := *b
			p.between = func() { c.take(s, b) }
			w := watcher.call("GET", "/admin/api/stats/live", "")
			if all := events(t, w, w.Body.String()); len(all) != 1 {
				t.Errorf("there came %+v", all)
			}
		})
	}
	s := newServer(t, Options{Pusher: realHub(t), Pulse: threeSamples(), Access: Access{Limited: []Key{{Key: "k", Audience: "shop:"}}}})
	checkProblem(t, do(s, "GET", "/v1/stats/live", "", "", header("X-Api-Key", "k")), codeAudienceDenied)
}

// brokenPulse is over before it has begun.
type brokenPulse struct{}

func (brokenPulse) Follow(context.Context, time.Time, func(*Sample) error) error {
	return errors.New("gone")
}

func TestLiveBreaks(t *testing.T) {
	w := do(newServer(t, Options{Pusher: realHub(t), Pulse: brokenPulse{}}), "GET", "/v1/stats/live", "", "")
	if w.Code != http.StatusOK || w.Body.Len() > 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
