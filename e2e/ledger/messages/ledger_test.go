package messages

import (
	"bytes"
	"os"
	"testing"

	"crier/e2e/ledger/stage"
	"crier/e2e/ledger/stage/stagetest"
)

func TestMain(m *testing.M) { os.Exit(stagetest.Main(m)) }

// TestNodes is a short run over three servers with a Redis, in which some messages are stolen: the checker has to notice all of
// them, and to find nothing else.
func TestNodes(t *testing.T) {
	t.Parallel()
	stagetest.NeedsRedis(t)
	terms := Defaults()
	terms.Nodes, terms.Owed, terms.Users, terms.Faults, terms.Drop = 3, 3000, 40, 8, 60
	terms.Without = stage.SlowBlows()
	e, v := performed(t, terms)
	if n := v.count("gap"); n == 0 || n == v.owedLive {
		t.Errorf("of %d live messages that were owed %d are missing, as some were stolen", v.owedLive, n)
	}
	for _, what := range []string{stage.ServerKill, stage.ServerStop, stage.ServerTerm, stage.LinkCut, stage.RedisKill} {
		if e.Count[what] == 0 {
			t.Errorf("there was no %q in the run", what)
		}
	}
}

// TestLedger is a short run with every kind of fault, in which some messages are stolen: the checker has to notice all of them,
// and to find nothing else.
func TestLedger(t *testing.T) {
	t.Parallel()
	terms := Defaults()
	terms.Owed, terms.Users, terms.Faults, terms.Drop = 2000, 40, 13, 100
	e, _ := performed(t, terms)
	for _, what := range []string{stage.ServerKill, stage.ServerStop, stage.ServerTerm, stage.BrowserGone, stage.BrowserStop} {
		if e.Count[what] == 0 {
			t.Errorf("there was no %q in the run", what)
		}
	}
}

// performed runs and judges. All that may be wrong is that what was stolen is missing, which must be noticed.
func performed(t *testing.T, terms stage.Terms) (*evidence, *verdict) {
	t.Helper()
	terms.Seed = stagetest.Seed(t, terms.Seed)
	o := stagetest.Options(t)
	if err := Perform(t.Context(), terms, o); err != nil {
		t.Fatalf("the run with seed %d failed: %v", terms.Seed, err)
	}
	e, err := gather(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	v := judge(e)
	var summary bytes.Buffer
	if err := v.print(&summary, e, o.Dir); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &summary)
	if err := v.sound(e); err != nil {
		t.Error(err)
	}
	for _, one := range v.violations {
		if one.Kind != "lost" && one.Kind != "gap" || !e.stolen[delivery{one.ID, one.UID}] {
			t.Error(one)
		}
	}
	if noticed, all := v.noticed(e); noticed < all || all == 0 {
		t.Errorf("of %d stolen deliveries %d were noticed", all, noticed)
	}
	return e, v
}
