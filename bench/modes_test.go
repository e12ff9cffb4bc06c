//go:build linux

package bench_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"crier/bench"
	"crier/bench/load"
)

// Every mode measures Crier, and every message comes once and in order.
func TestModes(t *testing.T) {
	for _, c := range []struct {
		name  string
		mode  bench.Mode
		adapt func(*bench.Options)
		idle  bool // there need be no work
	}{
		{name: "idle", mode: bench.Idle, idle: true},
		{name: "idle until all leave", mode: bench.Idle, idle: true, adapt: func(o *bench.Options) { o.Leave = time.Millisecond }},
		{name: "broadcast as fast as can be", mode: bench.Broadcast},
		{name: "broadcast at a rate", mode: bench.Broadcast, adapt: func(o *bench.Options) { o.Rate = 50 }},
		{name: "broadcast in bursts", mode: bench.Broadcast, adapt: func(o *bench.Options) { o.Burst = 16 }},
		{name: "broadcast beside sleepers", mode: bench.Broadcast, adapt: func(o *bench.Options) { o.Sleepers = 3 }},
		{name: "broadcast to Engine.IO 3", mode: bench.Broadcast, adapt: func(o *bench.Options) { o.Server.EIO = 3 }},
		{name: "broadcast after a warm-up", mode: bench.Broadcast, adapt: func(o *bench.Options) { o.WarmUp, o.Sleepers = o.Duration, 2 }},
		{name: "churn after a warm-up", mode: bench.Churn, adapt: func(o *bench.Options) { o.WarmUp = o.Duration }},
		{name: "push after a warm-up", mode: bench.Push, adapt: func(o *bench.Options) { o.WarmUp = o.Duration }},
		{name: "push", mode: bench.Push},
		{name: "push at a rate", mode: bench.Push, adapt: func(o *bench.Options) { o.Rate = 200 }},
		{name: "push on new connections", mode: bench.Push, adapt: func(o *bench.Options) { o.Via = bench.Fresh }},
		{name: "push in batches", mode: bench.Push, adapt: func(o *bench.Options) { o.Via = bench.Batch }},
		{name: "push by lines", mode: bench.Push, adapt: func(o *bench.Options) { o.Via = bench.Lines }},
		{name: "push by a stream", mode: bench.Push, adapt: func(o *bench.Options) { o.Via = bench.Stream }},
		{name: "push by the legacy form", mode: bench.Push, adapt: func(o *bench.Options) { o.Server.Form = bench.Servers()["node"].Form }},
		{name: "polling", mode: bench.Polling},
		{name: "polling until all leave", mode: bench.Polling, adapt: func(o *bench.Options) { o.Leave = time.Millisecond }},
		{name: "polling with Engine.IO 3", mode: bench.Polling, adapt: func(o *bench.Options) { o.Server.EIO = 3 }},
		{name: "SSE", mode: bench.SSE},
		{name: "events", mode: bench.Events},
		{name: "events with Engine.IO 3", mode: bench.Events, adapt: func(o *bench.Options) { o.Server.EIO = 3 }},
		{name: "churn", mode: bench.Churn},
		{name: "churn with nobody beside", mode: bench.Churn, adapt: func(o *bench.Options) { o.Clients = 0 }},
		{name: "storm", mode: bench.Storm},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := startCrier(t, c.mode)
			o.PID = os.Getpid() // which is the server's as well
			if c.adapt != nil {
				c.adapt(&o)
			}
			r, err := bench.Run(context.Background(), o, nil)
			for ; err == nil && !c.idle && r.Work.Count == 0 && o.Duration < patience; o.Duration *= 2 { // a busy machine may not come to anything at once
				r, err = bench.Run(context.Background(), o, nil)
			}
			if err != nil {
				t.Fatal(err, r)
			}
			if !r.Complete || !r.Faultless() || r.Clients != o.Clients || r.Outstanding+r.Failed > 0 || len(r.Errors) > 0 {
				t.Errorf("%+v", r)
			}
			if w := r.Work; w == nil || !c.idle && (w.Count == 0 || w.Latency == nil || w.Latency.Max < w.Latency.P50) {
				t.Errorf("work %+v", w)
			}
			if o.Clients > 0 && (r.Connect.Count != o.Clients || r.Memory == nil || r.Memory.Connected <= 0 || r.Memory.After <= 0) {
				t.Errorf("connect %+v, memory %+v", r.Connect, r.Memory)
			}
			if left := r.Memory != nil && r.Memory.Left > 0; left != (o.Leave > 0) {
				t.Errorf("all leave after %v: memory %+v", o.Leave, r.Memory)
			}
			whole(t, o, r)
		})
	}
}

// whole checks what each mode has besides, and both forms of a result.
func whole(t *testing.T, o bench.Options, r *bench.Result) {
	t.Helper()
	switch o.Mode {
	case bench.Broadcast, bench.Polling, bench.SSE:
		if r.Work.Count != r.Sent*o.Clients || r.Last == nil || int(r.Last.Count) != r.Sent || r.Sent%o.Burst != 0 || r.Sleepers != o.Sleepers {
			t.Errorf("%d deliveries of %d messages to %d; last %+v; %d sleepers", r.Work.Count, r.Sent, o.Clients, r.Last, r.Sleepers)
		}
	case bench.Push, bench.Events:
		if r.Work.Count != r.Sent {
			t.Errorf("%d of %d came", r.Work.Count, r.Sent)
		}
		if o.Via == bench.Batch && r.Sent%o.Batch != 0 {
			t.Errorf("%d sent", r.Sent)
		}
	case bench.Storm:
		if len(r.Storms) == 0 || r.Work.Count != len(r.Storms)*o.Clients {
			t.Errorf("%d came back in the storms %v", r.Work.Count, r.Storms)
		}
	}
	data, err := json.Marshal(r)
	var back bench.Result
	if err != nil || json.Unmarshal(data, &back) != nil || back.Sent != r.Sent || !back.Complete {
		t.Errorf("%s: %v", data, err)
	}
	var text strings.Builder
	if err := r.Print(&text); err != nil || strings.Contains(text.String(), "CUT SHORT") || !strings.Contains(text.String(), "server:") || !strings.Contains(text.String(), "load:") {
		t.Errorf("%v: %s", err, text.String())
	}
}

// Clients of Engine.IO 3 send heartbeats themselves; those that poll on a connection of its own.
func TestHeartbeatsOfEngineIO3(t *testing.T) {
	for _, speech := range []load.Speech{load.SocketIO, load.Polling} {
		t.Run(string(speech), func(t *testing.T) {
			t.Parallel()
			o := startFake(t, bench.Idle, &fake{eio: 3, pingInterval: 20})
			o.Server.EIO, o.Server.Speech, o.Duration = 3, speech, time.Second
			r, err := bench.Run(context.Background(), o, nil)
			if err != nil || r.Heartbeats == 0 {
				t.Errorf("%+v: %v", r, err)
			}
		})
	}
}

func TestClientsComeFromTheAddressesNamed(t *testing.T) {
	f := &fake{}
	o := startFake(t, bench.Idle, f)
	o.From = []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")}
	if _, err := bench.Run(context.Background(), o, nil); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.from["127.0.0.2"] != o.Clients/2 || f.from["127.0.0.3"] != o.Clients/2 {
		t.Errorf("connections from %v", f.from)
	}
}

func TestServersAreKnownWhole(t *testing.T) {
	for name, s := range bench.Servers() {
		if err := s.Form.Validate(); err != nil || s.Path == "" || s.LoggedIn == "" || s.EIO == 0 {
			t.Errorf("%s: %+v: %v", name, s, err)
		}
		if s.Speech != load.Centrifuge && s.Login == "" {
			t.Errorf("%s has no login", name)
		}
	}
}
