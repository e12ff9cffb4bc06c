package visit

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crier/app"
	"crier/configs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long anything may take before a test gives up on it.
const patience = time.Minute

// crier starts a server with a store, and returns it with what stops it.
func crier(t *testing.T) *app.App {
	t.Helper()
	cfg := configs.Default()
	cfg.Listen, cfg.API.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Presence.CountEvent, cfg.Inbox.Open, cfg.Store.Path = "off", true, filepath.Join(t.TempDir(), "crier.db")
	a, err := app.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	return a
}

// push pushes to a user; stored keeps it for a user who is away.
func push(t *testing.T, a *app.App, uid, content string, stored bool) {
	t.Helper()
	body := fmt.Sprintf(`{"to":{"users":[%q]},"data":%q,"store":%t}`, uid, content, stored)
	resp, err := http.Post("http://"+a.PushAddr()+"/v1/push", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the push was answered %s %s: %v", resp.Status, answer, err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
}

// next waits for a client's next message.
func next(t *testing.T, c Client, event, content string) {
	t.Helper()
	got, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	if want := (Message{event, content}); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

// TestWays has a client of each way get what was stored for it, then what is pushed, break off, come back to what it has missed
// if it can say how far it has come, and leave.
func TestWays(t *testing.T) {
	a := crier(t)
	for i, way := range Ways() {
		t.Run(string(way), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			o := Options{Addr: a.Addr(), UID: fmt.Sprint("u", i)}
			push(t, a, o.UID, "stored", true)
			c, err := Dial(ctx, way, o)
			if err != nil {
				t.Fatal(err)
			}
			next(t, c, "new_msg", "stored")
			push(t, a, o.UID, "here", false)
			next(t, c, "new_msg", "here")
			o.After = c.Position()
			if err := c.Break(); err != nil {
				t.Fatal(err)
			}
			if way.Recovers() {
				push(t, a, o.UID, "away", false)
			}
			if c, err = Dial(ctx, way, o); err != nil {
				t.Fatal(err)
			}
			if way.Recovers() {
				next(t, c, "new_msg", "away")
			}
			if err := c.Leave(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestMissed: a client whose position is not known is told so.
func TestMissed(t *testing.T) {
	a := crier(t)
	for _, way := range Ways() {
		if !way.Recovers() {
			continue
		}
		t.Run(string(way), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			unknown := "position"
			if way == Recovering {
				unknown = "sid pid offset"
			}
			c, err := Dial(ctx, way, Options{Addr: a.Addr(), UID: "u", After: unknown})
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Next()
			if err != nil || got.Event != Missed {
				t.Errorf("got %+v, %v", got, err)
			}
			if err := c.Leave(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestRefusals: who is refused, or whose time is over, is told why.
func TestRefusals(t *testing.T) {
	a := crier(t)
	for _, way := range Ways() {
		t.Run(string(way), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if _, err := Dial(ctx, way, Options{Addr: a.PushAddr(), UID: "u"}); err == nil {
				t.Error("the push port lets clients in")
			}
			c, err := Dial(ctx, way, Options{Addr: a.Addr(), UID: "u"})
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			if got, err := c.Next(); err == nil {
				t.Errorf("a client whose time is over got %+v", got)
			}
			if err := c.Break(); err != nil {
				t.Error(err)
			}
		})
	}
}
