package messages

import (
	"bytes"
	"os"
	"testing"

	"crier/e2e/ledger/stage"
	"crier/e2e/ledger/stage/stagetest"
)

func TestMain(m *testing.M) { os.Exit(stagetest.Main(m)) }

// TestLedger is a short run with every kind of fault, in which some messages are stolen: the checker has to notice all of them,
// and to find nothing else.
func TestLedger(t *testing.T) {
	t.Parallel()
	terms := Defaults()
	terms.Seed = stagetest.Seed(t, terms.Seed)
	terms.Owed, terms.Users, terms.Faults, terms.Drop = 2000, 40, 13, 100
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
		if one.Kind != "lost" || !e.stolen[delivery{one.ID, one.UID}] {
			t.Error(one)
		}
	}
	if noticed, all := v.noticed(e); noticed < all || all == 0 {
		t.Errorf("of %d stolen deliveries %d were noticed", all, noticed)
	}
	for _, what := range []string{stage.ServerKill, stage.ServerStop, stage.ServerTerm, stage.BrowserGone, stage.BrowserStop} {
		if e.Count[what] == 0 {
			t.Errorf("there was no %q in the run", what)
		}
	}
}
