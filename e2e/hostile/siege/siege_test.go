//go:build linux

package siege

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/e2e/hostile/stage"
	"crier/e2e/rig/rigtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Few clients that never read, and a server that may keep little: who reads gets everything, those furthest behind are sent
// away, the memory of the process stays within its bound, and nothing waits in the end.
func TestSiege(t *testing.T) {
	dir := t.TempDir()
	binary := rigtest.Build(t)
	o := Options{
		Readers: 10, Gluttons: 30, Last: 3 * time.Second, Evictions: 20, Broadcasts: 5, Floods: 400, Size: 20_000, FloodSize: 20_000,
		QueueBytes: 4 << 20, SendBuffer: 64 << 10, QueueTotal: 8 << 20,
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	server, err := stage.Crier(ctx, binary, dir, o.Settings()...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	res, err := Run(ctx, server, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", *res)
	if err := res.Wrong(o); err != nil {
		t.Error(err)
	}
	if res.Evicted < o.Evictions || res.Sent == 0 {
		t.Errorf("%d evicted, %d sent", res.Evicted, res.Sent)
	}
}
