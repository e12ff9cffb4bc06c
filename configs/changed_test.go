package configs

import (
	"slices"
	"testing"
	"time"
)

func TestChanged(t *testing.T) {
	before, after := Default(), Default()
	if got := Changed(before, after); got != nil {
		t.Errorf("between equals: %v", got)
	}
	after.Auth.JWT.Secret = "sesame"
	after.Listen = ":1"
	after.Presence.OfflineDelay = time.Minute
	after.API.Keys = []string{"sesame"}
	want := []string{"listen", "api.keys", "auth.jwt.secret", "presence.offline_delay"}
	if got := Changed(before, after); !slices.Equal(got, want) {
		t.Errorf("Changed = %v, want %v", got, want)
	}
}
