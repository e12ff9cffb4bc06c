package messages

import (
	"slices"
	"testing"

	"crier/e2e/ledger/stage"
)

// stageOf returns the evidence of a run over several servers in which one user has a page that can be recovered, and which was logged in
// from 1000 to 9000.
func stageOf(lines ...stage.Line) *evidence {
	l := stage.NewTimeline()
	l.Add(stage.Line{At: 0, On: stage.ServerStart})
	l.Add(stage.Line{At: 1, On: stage.ServerListen})
	for _, one := range lines {
		l.Add(one)
	}
	for at := stage.Stamp(10); at < 20_000; at += 50 {
		l.Add(stage.Line{At: at, On: stage.ServerTick})
	}
	e := newEvidence(&stage.Record{Timeline: l, End: 20_000, Tabs: map[string]stage.Line{}}, stage.Terms{Nodes: 3})
	for _, line := range []stage.TabLine{
		{At: 1000, On: stage.TabIn, Trail: canRecover},
		{At: 5000, On: stage.TabOut},
		{At: 5500, On: stage.TabIn, Trail: recovered},
		{At: 9010, On: stage.TabProof, Sent: 9000},
	} {
		line.Tab, line.UID = "u.1", "u"
		e.arrival(line)
	}
	return e
}

// pushed adds messages that are not stored, by one publisher: each sent at a time and accepted 10 later.
func (e *evidence) pushed(t *testing.T, all ...line) {
	t.Helper()
	for _, l := range all {
		for _, one := range []line{
			{At: l.At, On: sent, ID: l.ID, From: "p", N: l.N, Users: []string{"u"}, Plain: true, Alone: true},
			{At: l.At + 10, On: accepted, ID: l.ID, Tries: max(l.Tries, 1), Node: l.Node, Partial: l.Partial},
		} {
			if err := e.letter(one); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (e *evidence) wired(ids ...string) {
	for i, id := range ids {
		e.arrival(stage.TabLine{At: stage.Stamp(6000 + i), Tab: "u.1", UID: "u", On: stage.TabWire, Conn: 1, Data: id, ID: id})
	}
}

func violationsOf(e *evidence) (kinds []string) {
	for _, one := range judge(e).violations {
		if one.Kind != "swallowed" { // there is no helper here
			kinds = append(kinds, one.Kind+" "+one.ID)
		}
	}
	return kinds
}

func TestGaps(t *testing.T) {
	for _, c := range []struct {
		name string
		push line
		want string
	}{
		{"while it is there", line{At: 3000}, "gap x"},
		{"while it is away", line{At: 5200}, "gap x"},
		{"before it is known to be there", line{At: 1100}, ""},
		{"when it may be gone again", line{At: 8900}, ""},
		{"partial", line{At: 3000, Partial: true}, ""},
	} {
		e := stageOf()
		c.push.ID, c.push.N = "x", 1
		e.pushed(t, c.push)
		got := violationsOf(e)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || got[0] != c.want) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

// What is on its way to a server that nothing comes to is owed to those who are there when that is over.
func TestGapsBehindABlock(t *testing.T) {
	for _, c := range []struct {
		mend stage.Stamp
		want []string
	}{{5000, []string{"gap x"}}, {9500, nil}} {
		e := stageOf(stage.Line{At: 2900, On: stage.LinkBlock, Node: "-c"}, stage.Line{At: c.mend, On: stage.LinkMend, Node: "-c"})
		e.pushed(t, line{At: 3000, ID: "x", N: 1})
		if got := violationsOf(e); !slices.Equal(got, c.want) {
			t.Errorf("until %d: %q, want %q", c.mend, got, c.want)
		}
	}
}

func TestOrderOfNodes(t *testing.T) {
	e := stageOf()
	e.pushed(t, line{At: 3000, ID: "1", N: 1, Node: 1}, line{At: 3500, ID: "2", N: 2, Node: 2})
	e.wired("2", "1")
	if got := violationsOf(e); len(got) != 1 || got[0] != "order 1" {
		t.Errorf("one behind the other: %q", got)
	}
	e = stageOf()
	e.pushed(t, line{At: 3000, ID: "1", N: 1, Node: 1, Tries: 2}, line{At: 3005, ID: "2", N: 2, Node: 2})
	e.wired("2", "1")
	if got := violationsOf(e); len(got) > 0 {
		t.Errorf("the first was pushed again: %q", got)
	}
}

func TestFailedPush(t *testing.T) {
	term := []stage.Line{{At: 2990, On: stage.ServerTerm, Node: "a"}, {At: 3500, On: stage.ServerListen, Node: "a"}}
	kill := []stage.Line{{At: 2000, On: stage.ServerKill, Node: "b"}, {At: 3500, On: stage.ServerListen, Node: "b"}}
	for _, c := range []struct {
		name  string
		lines []stage.Line
		tries int
		want  int
	}{
		{"retried once", term, 2, 0},
		{"retried twice", term, 3, 1},
		{"another one was dead", append(kill, term...), 3, 0},
		{"nothing was restarted", nil, 3, 0},
	} {
		e := stageOf(c.lines...)
		e.pushed(t, line{At: 3000, ID: "x", N: 1, Tries: c.tries})
		e.wired("x")
		if got := violationsOf(e); len(got) != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
