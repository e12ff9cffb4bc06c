package callbacks

import (
	"bytes"
	"os"
	"testing"

	"crier/e2e/ledger/stage"
	"crier/e2e/ledger/stage/stagetest"
)

func TestMain(m *testing.M) { os.Exit(stagetest.Main(m)) }

// TestLedger is a short run with every kind of fault.
func TestLedger(t *testing.T) {
	t.Parallel()
	terms := Defaults()
	terms.Owed, terms.Users, terms.Faults = 400, 120, 14
	e, v := performed(t, terms)
	for _, one := range v.violations {
		t.Errorf("%s %s %s: %s", one.UID, one.Kind, one.ID, one.Text)
	}
	for _, what := range []string{stage.ServerKill, stage.ServerStop, stage.ServerTerm, stage.BrowserGone, receiverDown, receiverHang} {
		if e.Count[what] == 0 {
			t.Errorf("there was no %q in the run", what)
		}
	}
	if e.retries() == 0 {
		t.Error("no callback came again, so nothing shows that one may")
	}
}

// TestNodes is a short run over three servers with a Redis.
func TestNodes(t *testing.T) {
	t.Parallel()
	stagetest.NeedsRedis(t)
	terms := Defaults()
	terms.Nodes, terms.Owed, terms.Users, terms.Faults = 3, 160, 60, 3
	terms.Without = append(stage.SlowBlows(), "stop", "redis stop", "roll", "restart", "browser", "outage", "hang", "cut")
	e, v := performed(t, terms)
	for _, one := range v.violations {
		t.Errorf("%s %s %s: %s", one.UID, one.Kind, one.ID, one.Text)
	}
	for _, what := range []string{stage.ServerKill, stage.RedisKill} {
		if e.Count[what] == 0 {
			t.Errorf("there was no %q in the run", what)
		}
	}
}

// TestMutation loses callbacks on their way, some of which come in batches: the checker has to notice it, and to find nothing
// else. Two that are lost of one user can be the offline and the online of an absence that need not have been told.
func TestMutation(t *testing.T) {
	t.Parallel()
	terms := Defaults()
	terms.Owed, terms.Users, terms.Faults, terms.Batch, terms.Drop = 300, 100, 8, 8, 40
	e, v := performed(t, terms)
	robbed := e.robbed()
	if noticed, all := v.noticed(robbed); noticed == 0 {
		t.Errorf("of %d stolen callbacks none was noticed", all)
	}
	accused := map[string]bool{}
	for _, one := range v.violations {
		accused[one.UID] = true
		if robbed[one.UID] == 0 {
			t.Errorf("nothing of %s was stolen, but: %s %s: %s", one.UID, one.Kind, one.ID, one.Text)
		}
	}
	for uid, n := range robbed {
		if n%2 == 1 && !accused[uid] {
			t.Errorf("%d callbacks of %s were stolen, and nothing was noticed", n, uid)
		}
	}
}

// performed runs and judges.
func performed(t *testing.T, terms Terms) (*evidence, *verdict) {
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
