package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"crier/configs"
	"crier/io/hub"
)

// tally is a connection that notes what it is told, and when.
type tally struct {
	id    string
	takes time.Duration // to be told something

	mu  sync.Mutex
	got []string
}

func (c *tally) ID() string { return c.id }

func (c *tally) Deliver(m *hub.Message) error {
	time.Sleep(c.takes)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, fmt.Sprintf("%s %s %s", time.Now().Format("05.000"), m.Event, m.Args[0]))
	return nil
}

func (c *tally) Kick() {}

// take returns what has come since the last call.
func (c *tally) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := strings.Join(c.got, "\n")
	c.got = nil
	return got
}

// counting runs a test on a counter that tells once every two seconds; the
// clock starts at 00.000. login adds a connection.
func counting(t *testing.T, form string, test func(seen *tally, login func(uid string) *hub.Member)) {
	synctest.Test(t, func(t *testing.T) {
		h, err := hub.New(hub.Options{})
		if err != nil {
			t.Fatal(err)
		}
		seen := &tally{id: "seen"} // a connection that is not logged in
		if _, err := h.Connect(seen); err != nil {
			t.Fatal(err)
		}
		c := newCounter(h, statsOf(h), form, 2*time.Second, slog.New(slog.DiscardHandler))
		n := 0
		test(seen, func(uid string) *hub.Member {
			n++
			m, err := h.Connect(&tally{id: fmt.Sprint(n)})
			if err == nil {
				err = m.Login(uid)
			}
			if err != nil {
				t.Fatal(err)
			}
			return m
		})
		c.close()
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// pass lets time go by, and what is due then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestCounter(t *testing.T) {
	counting(t, "json", func(seen *tally, login func(string) *hub.Member) {
		pass(10 * time.Second)
		same(t, "without a change", seen.take(), "")
		first := login("a")
		login("a")
		second := login("b")
		synctest.Wait()
		same(t, "before the interval is over", seen.take(), "")
		pass(2 * time.Second)
		same(t, "after three logins", seen.take(), `12.000 update_online_count {"users":2,"connections":3}`)
		pass(10 * time.Second)
		same(t, "without another change", seen.take(), "")

		pass(time.Second)
		second.Gone()
		login("b") // back again
		pass(3 * time.Second)
		same(t, "after a change and back", seen.take(), "")

		for range 40 { // a change every 100 ms
			first.Logout()
			if err := first.Login("c"); err != nil {
				t.Error(err)
			}
			login("d")
			pass(100 * time.Millisecond)
		}
		got := strings.Split(seen.take(), "\n")
		same(t, "events in four seconds", len(got), 2)
		same(t, "the latest", strings.HasPrefix(got[1], "30.000 "), true)
	})
}

func TestCounterForms(t *testing.T) {
	for form, want := range map[string]string{
		"legacy": `02.000 update_online_count "当前<b>1</b>人在线，共打开<b>1</b>个页面"`,
		"json":   `02.000 update_online_count {"users":1,"connections":1}`,
		"off":    "",
	} {
		t.Run(form, func(t *testing.T) {
			counting(t, form, func(seen *tally, login func(string) *hub.Member) {
				m := login("a")
				pass(2 * time.Second)
				same(t, "after a login", seen.take(), want)
				m.Gone()
				pass(2 * time.Second)
				last := strings.NewReplacer("02.000", "04.000", "<b>1<", "<b>0<", ":1", ":0").Replace(want)
				same(t, "after all have gone", seen.take(), last)
			})
		})
	}
}

// To tell everybody is put off where it takes long.
func TestCounterOfMany(t *testing.T) {
	counting(t, "json", func(seen *tally, login func(string) *hub.Member) {
		seen.takes = 100 * time.Millisecond
		for range 8 {
			login("a")
			pass(time.Second)
		}
		pass(4 * time.Second)
		same(t, "what it was told", seen.take(), strings.Join([]string{
			`02.100 update_online_count {"users":1,"connections":2}`,
			`06.100 update_online_count {"users":1,"connections":6}`,
			`10.100 update_online_count {"users":1,"connections":8}`,
		}, "\n"))
	})
}

// A closed hub is no trouble: the server is stopping.
func TestCounterOfClosedHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := hub.New(hub.Options{})
		if err != nil {
			t.Fatal(err)
		}
		log := &logBook{}
		c := newCounter(h, statsOf(h), "legacy", time.Second, slog.New(slog.NewTextHandler(log, nil)))
		m, err := h.Connect(&tally{id: "1"})
		if err == nil {
			err = m.Login("a")
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second)
		c.close()
		same(t, "the log", log.String(), "")
	})
}

// A page is shown the figures when it logs in, others when they have changed.
func TestOnlineCount(t *testing.T) {
	for form, want := range map[string]string{
		"legacy": `42["update_online_count","当前<b>%d</b>人在线，共打开<b>%d</b>个页面"]`,
		"json":   `42["update_online_count",{"users":%d,"connections":%d}]`,
	} {
		t.Run(form, func(t *testing.T) {
			p := start(t, func(c *configs.Config) {
				c.Presence.CountEvent = form
				c.Presence.CountInterval = 20 * time.Millisecond
			})
			others := p.open("") // has not logged in
			pages := []*page{others}
			for i, uid := range []string{"7", "8", "8"} {
				users := min(i+1, 2)
				count := fmt.Sprintf(want, users, i+1)
				pg := p.open(`{"uid":"` + uid + `"}`)
				pg.want(count) // at once
				pages = append(pages, pg)
				for _, pg := range pages {
					pg.want(count) // as everybody
				}
			}
			pages[1].leave()
			others.want(fmt.Sprintf(want, 1, 2))
			pages[2].send(`42["logout"]`)
			others.want(fmt.Sprintf(want, 1, 1))
		})
	}
	t.Run("once an interval", func(t *testing.T) {
		p := start(t, func(c *configs.Config) { c.Presence.CountInterval = time.Hour; c.Presence.CountEvent = "legacy" })
		first := p.open("")
		first.send(`429["login","7"]`)
		first.want(fmt.Sprintf(`42["update_online_count","当前<b>%d</b>人在线，共打开<b>%d</b>个页面"]`, 1, 1), `439[{"ok":true,"uid":"7"}]`)
		first.send(`429["login","7"]`) // not a login
		first.want(`439[{"ok":true,"uid":"7"}]`)
		p.open(`{"uid":"8"}`).wantPrefix(`42["update_online_count",`)
		first.wantNothing()
	})
}

// statsOf returns the figures of a server that is alone.
func statsOf(h *hub.Hub) func() (users, connections int) {
	return func() (int, int) {
		s := h.Stats()
		return s.Users, s.Connections
	}
}
