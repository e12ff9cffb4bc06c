package stage

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPlan(t *testing.T) {
	all := []Blow{{Name: "kill", Weight: 2}, {Name: "stop", Weight: 1}, {Name: "restart", Weight: 1}}
	count := func(order []Blow) map[string]int {
		n := map[string]int{}
		for _, b := range order {
			n[b.Name]++
		}
		return n
	}
	random := rand.New(rand.NewPCG(1, 2))
	order, err := plan(Terms{Faults: 9}, all, random)
	if n := count(order); err != nil || len(order) != 9 || n["kill"] < 4 || n["stop"] < 2 || n["restart"] < 2 {
		t.Errorf("%v, %v", n, err)
	}
	order, err = plan(Terms{Faults: 4, Without: []string{"kill", "stop"}}, all, random)
	if n := count(order); err != nil || n["restart"] != 4 || len(n) != 1 {
		t.Errorf("%v, %v", n, err)
	}
	if order, err = plan(Terms{Faults: 4, Without: []string{"kill", "stop", "restart"}}, all, random); err != nil || len(order) > 0 {
		t.Errorf("%v, %v", order, err)
	}
	if _, err = plan(Terms{Faults: 4, Without: []string{"flood"}}, all, random); err == nil || !strings.Contains(err.Error(), "[kill stop restart]") {
		t.Errorf("an unknown fault: %v", err)
	}
}

func TestTimeline(t *testing.T) {
	l := NewTimeline()
	if _, _, ok := l.At(5); ok {
		t.Error("there is a life before the first")
	}
	lines := []Line{{At: 100, On: ServerStart}, {At: 110, On: ServerTick}, {At: 120, On: ServerListen}}
	for at := Stamp(200); at < 200+10*Lag; at += 10 {
		lines = append(lines, Line{At: at, On: ServerTick})
	}
	lines = append(lines,
		Line{At: 500, On: ServerKill}, Line{At: 501, On: ServerTick}, Line{At: 505, On: ServerExit},
		Line{At: 600, On: ServerStart}, Line{At: 610, On: ServerListen}, Line{At: 620, On: ServerTick})
	for _, one := range lines {
		l.Add(one)
	}
	if at, ok := l.Tick(0, 1); !ok || at != 200 { // not the answer before it listened
		t.Errorf("the first tick is %d", at)
	}
	if at, ok := l.Tick(200+10*Lag-20, 2); !ok || at != 620 { // nor the one that was under way
		t.Errorf("the tick after the last is %d", at)
	}
	if _, ok := l.Tick(620, 1); ok {
		t.Error("there is a tick after the last")
	}
	if l.Settled(200, 200+10*Lag-1) || !l.Settled(200-1, 200+10*Lag) {
		t.Error("it is settled after another number of ticks")
	}
	if l.Lagging(199) != 200+10*(Lag-1) || l.Lagging(610) != Never {
		t.Errorf("lagging until %d, %d", l.Lagging(199), l.Lagging(610))
	}
	for at, want := range map[Stamp]Life{
		300: {Start: 100, Listen: 120, End: 500, Exit: 505, Killed: true},
		700: {Start: 600, Listen: 610, End: Never, Exit: Never},
	} {
		if got, first, ok := l.At(at); !ok || first != (at < 600) || got != want {
			t.Errorf("at %d: %+v", at, got)
		}
	}
}

func TestStays(t *testing.T) {
	s := &Stays{}
	for _, l := range []TabLine{
		{At: 1, On: TabOpen},
		{At: 5, On: TabProof, Sent: 4},
		{At: 10, On: TabIn},
		{At: 20, On: TabProof, Sent: 9},
		{At: 30, On: TabProof, Sent: 25},
		{At: 40, On: TabOut},
		{At: 45, On: TabProof, Sent: 42},
		{At: 50, On: TabIn},
		{At: 60, On: TabGone},
		{At: 70, On: TabOut},
	} {
		if since := s.Since(l.At); l.At == 20 && since != 10 || l.At == 45 && since != 45 {
			t.Errorf("at %d since %d", l.At, since)
		}
		s.Add(l)
	}
	if want := []Stay{{10, 25, true, 40}, {50, 50, false, Never}}; !slices.Equal(s.All, want) {
		t.Errorf("got %v", s.All)
	}
}

// A line that was not written to its end is left out; one that is wrong is an error.
func TestReadBook(t *testing.T) {
	for _, c := range []struct {
		text  string
		lines int
		fails bool
	}{
		{`{"at":1}` + "\n" + `{"at":2}` + "\n", 2, false},
		{`{"at":1}` + "\n" + `{"at":`, 1, false},
		{`{"at":1}` + "\n" + "\x00\n", 1, true},
		{"", 0, false},
	} {
		path := filepath.Join(t.TempDir(), "book")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := ReadBook(path, func(Line) { n++ }); n != c.lines || (err != nil) != c.fails {
			t.Errorf("%q: %d lines, %v", c.text, n, err)
		}
	}
}
