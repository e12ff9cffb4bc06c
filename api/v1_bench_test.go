package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"crier/io/hub"
)

// deaf is a connection that takes everything and keeps nothing.
type deaf string

func (d deaf) ID() string                 { return string(d) }
func (d deaf) Deliver(*hub.Message) error { return nil }
func (d deaf) Kick()                      {}

// hasty is one that has sent a message by the time it has taken it.
type hasty struct{ deaf }

func (hasty) Borrow(*hub.Message) (bool, error) { return true, nil }

// bare parses the push as net/http and encoding/json do it, and does nothing.
func bare(w http.ResponseWriter, r *http.Request) {
	var v struct {
		To struct {
			Users []string `json:"users"`
		} `json:"to"`
		Event string          `json:"event"`
		Data  json.RawMessage `json:"data"`
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &v)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write([]byte(`{"ok":true}`)); err != nil {
		panic(err)
	}
}

// BenchmarkV1Push pushes to one user of many who is online, without a network; bare is what it is measured against.
func BenchmarkV1Push(b *testing.B) {
	h, err := hub.New(hub.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 1000 {
		m, err := h.Connect(hasty{deaf(fmt.Sprint("c", i))})
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Login(fmt.Sprint("user-", i)); err != nil {
			b.Fatal(err)
		}
	}
	s := newServer(b, Options{Pusher: h, Access: Access{Keys: []string{"k"}}})
	const one = `{"to":{"users":["user-%d"]},"event":"order.shipped","data":{"order":12345,"text":"Your order has shipped, 你的订单已发货"}%s}`
	var lines strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&lines, one+"\n", i, "")
	}
	unicast := fmt.Sprintf(one, 77, "")
	for _, c := range []struct {
		name, path, contentType, body string
		handler                       http.Handler
		pushes                        int
	}{
		{"bare", "/v1/push", "application/json", unicast, http.HandlerFunc(bare), 1},
		{"unicast", "/v1/push", "application/json", unicast, s, 1},
		{"lines", "/v1/push/batch", "application/x-ndjson", lines.String(), s, 1000},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodPost, c.path, nil)
			r.Header.Set("Content-Type", c.contentType)
			r.Header.Set("X-Api-Key", "k")
			r.ContentLength = int64(len(c.body))
			body := strings.NewReader(c.body)
			r.Body = io.NopCloser(body)
			w := &sink{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(c.body)
				c.handler.ServeHTTP(w, r)
			}
			if w.status != 200 {
				b.Fatalf("status %d", w.status)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.pushes), "ns/push")
		})
	}
}
