package messages

import (
	"fmt"
	"slices"
	"testing"

	"crier/e2e/ledger/stage"
)

// A scene is what was pushed and what came, and what the checker has to say to it.
type scene struct {
	name string
	// pushed are messages p.1, p.2, … of one publisher to the user u, by what became of them: "stored", "plain", "open" or
	// "open plain"; "again" is a plain one that was pushed twice, "refused" is answered as if it had not been stored.
	pushed []string
	came   []string // "MESSAGE TAB CONNECTION TIME", with a - behind it if the helper has kept it back; a' is a, loaded again
	left   []string // tabs that have left
	want   []string // kinds of violations
	counts verdict
}

var scenes = []scene{
	{
		name: "in order", pushed: []string{"stored", "stored"}, came: []string{"1 a 1 10", "2 a 1 20"},
		counts: verdict{letters: 2, owed: 2, delivered: 2, arrivals: 2},
	},
	{
		name: "lost", pushed: []string{"stored", "stored"}, came: []string{"1 a 1 10"},
		want: []string{"lost"}, counts: verdict{letters: 2, owed: 2, delivered: 1, arrivals: 1},
	},
	{
		name: "everything lost", pushed: []string{"stored"},
		want: []string{"lost"}, counts: verdict{letters: 1, owed: 1},
	},
	{
		name: "not stored, and not there", pushed: []string{"plain", "stored"}, came: []string{"2 a 1 10"},
		counts: verdict{letters: 1, plain: 1, owed: 1, delivered: 1, arrivals: 1},
	},
	{
		name: "said not to be stored", pushed: []string{"refused"}, came: []string{"1 a 1 10"},
		want: []string{"stored"}, counts: verdict{letters: 1, owed: 1, delivered: 1, arrivals: 1},
	},
	{
		name: "open", pushed: []string{"open", "open", "open plain"}, came: []string{"2 a 1 10"},
		counts: verdict{open: 3, openCame: 1, arrivals: 1},
	},
	{
		name: "an open one behind the next", pushed: []string{"open", "stored"}, came: []string{"2 a 1 10", "1 a 1 20"},
		counts: verdict{letters: 1, owed: 1, delivered: 1, open: 1, openCame: 1, arrivals: 2},
	},
	{
		name: "out of order on a connection", pushed: []string{"stored", "stored"}, came: []string{"2 a 1 10", "1 a 1 20"},
		want: []string{"order", "order"}, counts: verdict{letters: 2, owed: 2, delivered: 2, arrivals: 2}, // on the wire, and for the user
	},
	{
		name: "out of order on two connections", pushed: []string{"stored", "stored"}, came: []string{"2 a 1 10", "1 a 2 20"},
		want: []string{"order"}, counts: verdict{letters: 2, owed: 2, delivered: 2, arrivals: 2},
	},
	{
		name: "out of order in two tabs", pushed: []string{"stored", "stored"}, came: []string{"2 a 1 10", "1 b 1 20"},
		want: []string{"order"}, counts: verdict{letters: 2, owed: 2, delivered: 2, arrivals: 2},
	},
	{
		name: "in two tabs at about the same time", pushed: []string{"stored", "stored"}, came: []string{"2 a 1 10", "1 b 1 12"},
		counts: verdict{letters: 2, owed: 2, delivered: 2, arrivals: 2},
	},
	{
		name: "in both tabs", pushed: []string{"stored", "stored"}, came: []string{"1 a 1 10", "2 a 1 20", "1 b 1 30", "2 b 1 31"},
		counts: verdict{letters: 2, owed: 2, delivered: 2, arrivals: 4},
	},
	{
		name: "again on the next connection", pushed: []string{"stored", "stored"}, came: []string{"1 a 1 10", "1 a 2 20 -", "2 a 2 30"},
		counts: verdict{letters: 2, owed: 2, delivered: 2, arrivals: 3, again: 1},
	},
	{
		name: "older ones again on the next connection", pushed: []string{"stored", "stored"}, came: []string{"1 a 1 10", "2 a 1 20", "1 a 2 30 -", "2 a 2 40 -"},
		counts: verdict{letters: 2, owed: 2, delivered: 2, arrivals: 4, again: 2},
	},
	{
		name: "behind the helper, too", pushed: []string{"stored"}, came: []string{"1 a 1 10", "1 a 2 20"},
		want: []string{"duplicate"}, counts: verdict{letters: 1, owed: 1, delivered: 1, arrivals: 2, again: 1},
	},
	{
		name: "twice on one connection", pushed: []string{"stored"}, came: []string{"1 a 1 10", "1 a 1 20 -"},
		want: []string{"twice"}, counts: verdict{letters: 1, owed: 1, delivered: 1, arrivals: 2},
	},
	{
		name: "kept back by the helper", pushed: []string{"stored", "stored"}, came: []string{"1 a 1 10 -", "2 a 1 20"},
		want: []string{"lost", "swallowed"}, counts: verdict{letters: 2, owed: 2, delivered: 1, arrivals: 2},
	},
	{
		name: "kept back in one tab", pushed: []string{"stored", "stored"}, came: []string{"1 a 1 10", "1 b 1 20 -", "2 b 1 30"},
		want: []string{"swallowed"}, counts: verdict{letters: 2, owed: 2, delivered: 2, arrivals: 3},
	},
	{
		name: "when the page is loaded again", pushed: []string{"stored"}, came: []string{"1 a 1 10", "1 a' 1 20 -"},
		counts: verdict{letters: 1, owed: 1, delivered: 1, arrivals: 2},
	},
	{
		name: "handed on when the page is loaded again", pushed: []string{"stored"}, came: []string{"1 a 1 10", "1 a' 1 20"},
		want: []string{"duplicate"}, counts: verdict{letters: 1, owed: 1, delivered: 1, arrivals: 2},
	},
	{
		name: "on the wire when the page had left", pushed: []string{"stored"}, came: []string{"1 a 1 10 -"}, left: []string{"a"},
		counts: verdict{letters: 1, owed: 1, discarded: 1, arrivals: 1},
	},
	{
		name: "on the wire, and nothing became of it", pushed: []string{"stored"}, came: []string{"1 a 1 10 -"},
		want: []string{"lost"}, counts: verdict{letters: 1, owed: 1, arrivals: 1},
	},
	{
		name: "not stored, and pushed again behind the next", pushed: []string{"again", "stored"}, came: []string{"2 a 1 10", "1 a 1 20"},
		counts: verdict{letters: 1, plain: 1, owed: 1, delivered: 1, arrivals: 2},
	},
	{
		name: "not stored, pushed again, and twice on one connection", pushed: []string{"again"}, came: []string{"1 a 1 10", "1 a 1 20 -"},
		counts: verdict{plain: 1, arrivals: 2, again: 1},
	},
	{
		name: "discarded by one tab, and behind the next in another", pushed: []string{"stored", "stored"}, left: []string{"b"},
		came: []string{"1 b 1 10 -", "2 b 1 11 -", "2 a 1 20", "1 a' 1 30"}, counts: verdict{letters: 2, owed: 2, delivered: 2, arrivals: 4},
	},
	{
		name: "not stored, and late in another tab", pushed: []string{"plain", "stored"}, came: []string{"2 a 1 10", "1 b 1 20"},
		counts: verdict{letters: 1, plain: 1, owed: 1, delivered: 1, arrivals: 2},
	},
	{
		name: "not stored, and out of order on a connection", pushed: []string{"plain", "stored"}, came: []string{"2 a 1 10", "1 a 1 20"},
		want: []string{"order"}, counts: verdict{letters: 1, plain: 1, owed: 1, delivered: 1, arrivals: 2},
	},
	{
		name: "a stranger's", pushed: []string{"stored"}, came: []string{"1 a 1 10", "7 a 1 20"},
		want: []string{"stray"}, counts: verdict{letters: 1, owed: 1, delivered: 1, arrivals: 2},
	},
	{
		name: "one that is not stored twice", pushed: []string{"plain"}, came: []string{"1 a 1 10", "1 a 2 20"},
		want: []string{"duplicate"}, counts: verdict{plain: 1, arrivals: 2, again: 1},
	},
}

func TestJudge(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			got := judge(s.evidence(t))
			var kinds []string
			for _, one := range got.violations {
				kinds = append(kinds, one.Kind)
			}
			slices.Sort(kinds)
			if !slices.Equal(kinds, s.want) {
				t.Errorf("the violations are %q, want %q: %v", kinds, s.want, got.violations)
			}
			got.violations = nil
			if fmt.Sprint(*got) != fmt.Sprint(s.counts) {
				t.Errorf("counted %+v, want %+v", *got, s.counts)
			}
		})
	}
}

// evidence makes of a scene what would be gathered from its books.
func (s scene) evidence(t *testing.T) *evidence {
	t.Helper()
	tabs := map[string]stage.Line{"a": {Page: "a"}, "b": {Page: "b"}, "a'": {Page: "a"}}
	e := newEvidence(&stage.Record{Timeline: stage.NewTimeline(), Tabs: tabs}, stage.Terms{})
	for i, what := range s.pushed {
		id := fmt.Sprintf("p.%d", i+1)
		lines := []line{{On: sent, ID: id, From: "p", N: i + 1, Users: []string{"u"}, Plain: what == "plain" || what == "open plain" || what == "again"}}
		switch what {
		case "open", "open plain":
			lines = append(lines, line{On: open, ID: id})
		case "again":
			lines = append(lines, line{On: accepted, ID: id, Tries: 2})
		default:
			lines = append(lines, line{On: accepted, ID: id, Stored: what == "stored", Tries: 1})
		}
		for _, l := range lines {
			if err := e.letter(l); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, text := range s.came {
		var n, conn int
		var tab, kept string
		var at stage.Stamp
		if got, err := fmt.Sscan(text, &n, &tab, &conn, &at, &kept); got < 4 {
			t.Fatalf("reading %q: %v", text, err)
		}
		id := fmt.Sprintf("p.%d", n)
		e.arrival(stage.TabLine{On: stage.TabWire, UID: "u", Tab: tab, At: at, Conn: conn, ID: id, Data: id})
		if kept == "" {
			e.arrival(stage.TabLine{On: stage.TabGot, UID: "u", Tab: tab, At: at, ID: id})
		}
	}
	for _, tab := range s.left {
		e.arrival(stage.TabLine{On: stage.TabBye, UID: "u", Tab: tab})
	}
	return e
}

// TestMutations takes a good run, changes one thing, and has the checker find that, whatever it is.
func TestMutations(t *testing.T) {
	good := scene{name: "good"}
	const n = 40
	for i := range n {
		good.pushed = append(good.pushed, "stored")
		good.came = append(good.came, fmt.Sprintf("%d a %d %d", i+1, 1+i/10, 100*i))
	}
	if v := judge(good.evidence(t)); len(v.violations) > 0 {
		t.Fatal(v.violations)
	}
	for i := range n {
		for name, change := range map[string]func([]string) []string{
			"lost": func(came []string) []string { return slices.Delete(came, i, i+1) },
			"order": func(came []string) []string {
				j := (i + 1) % n
				came[i], came[j] = fmt.Sprintf("%d a %d %d", j+1, 1+i/10, 100*i), fmt.Sprintf("%d a %d %d", i+1, 1+j/10, 100*j)
				return came
			},
			"duplicate": func(came []string) []string {
				return append(came, fmt.Sprintf("%d a 9 %d", i+1, 100*n))
			},
			"twice": func(came []string) []string { return slices.Insert(came, i, came[i]) },
		} {
			bad := scene{pushed: good.pushed, came: change(slices.Clone(good.came))}
			v := judge(bad.evidence(t))
			if !slices.ContainsFunc(v.violations, func(one stage.Violation) bool { return one.Kind == name }) {
				t.Errorf("%s of %d: %v", name, i+1, v.violations)
			}
		}
	}
}
