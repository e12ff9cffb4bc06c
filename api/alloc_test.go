//go:build !race

package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"crier/io/hub"
)

// TestUnicastAllocations counts what a push to one user allocates between the handler's entry and its connection.
func TestUnicastAllocations(t *testing.T) {
	h, err := hub.New(hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := h.Connect(hasty{deaf("c")})
	if err == nil {
		err = m.Login("user-77")
	}
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, Options{Pusher: h, Access: Access{Keys: []string{"k"}}})
	const push = `{"to":{"users":["user-77"]},"event":"new_msg","data":"Your order has shipped, 你的订单已发货"}`
	r := httptest.NewRequest(http.MethodPost, "/v1/push", nil)
	r.Header.Set("X-Api-Key", "k")
	r.ContentLength = int64(len(push))
	body := strings.NewReader(push)
	r.Body = io.NopCloser(body)
	w := &sink{header: http.Header{}}
	n := testing.AllocsPerRun(1000, func() {
		body.Reset(push)
		s.ServeHTTP(w, r)
	})
	if w.status != http.StatusOK {
		t.Fatalf("status %d", w.status)
	}
	if n > 2 {
		t.Errorf("%v allocations, want 2: the message's id and the uid", n)
	}
}
