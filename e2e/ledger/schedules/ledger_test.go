package schedules

import (
	"bytes"
	"os"
	"testing"

	"crier/e2e/ledger/stage"
	"crier/e2e/ledger/stage/stagetest"
)

func TestMain(m *testing.M) { os.Exit(stagetest.Main(m)) }

// TestNodes is a short run over three servers with a Redis.
func TestNodes(t *testing.T) {
	t.Parallel()
	stagetest.NeedsRedis(t)
	terms := Defaults()
	terms.Nodes, terms.Owed, terms.Users, terms.Faults = 3, 120, 60, 4
	terms.Without = append(stage.SlowBlows(), "restart", "stop", "redis stop", "cut", "roll", "browser")
	e, v := performed(t, terms)
	for _, one := range v.violations {
		t.Error(one)
	}
	for _, what := range []string{stage.ServerKill, stage.RedisKill} {
		if e.Count[what] == 0 {
			t.Errorf("there was no %q in the run", what)
		}
	}
}

// performed runs and judges.
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
	return e, v
}

// TestLedger is a short run with every kind of fault, in which some runs are stolen: the checker has to notice these, and to find
// nothing else.
func TestLedger(t *testing.T) {
	t.Parallel()
	terms := Defaults()
	terms.Owed, terms.Users, terms.Faults, terms.Drop = 180, 90, 10, 8
	e, v := performed(t, terms)
	for _, one := range v.violations {
		if e.stolen[one.ID] == 0 || one.Kind != "missing" {
			t.Error(one)
		}
	}
	if noticed, all := v.noticed(e.stolen); noticed == 0 {
		t.Errorf("of %d stolen runs none was noticed", all)
	}
	for _, what := range []string{stage.ServerKill, stage.ServerStop, stage.ServerTerm, stage.BrowserGone} {
		if e.Count[what] == 0 {
			t.Errorf("there was no %q in the run", what)
		}
	}
}
