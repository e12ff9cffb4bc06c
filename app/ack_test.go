package app

import (
	"net/http"
	"strings"
	"testing"

	"crier/configs"
)

// A push that asks for acknowledgements gets those of old and new clients, and none of who has not logged in.
func TestAck(t *testing.T) {
	p := start(t, withJWT)
	token := sign(t, "7", patience)
	pages := []*page{p.open(`{"token":"` + token + `"}`), p.openOld("token=" + token)}
	stranger := p.open("")
	answered := make(chan answer)
	go func() {
		answered <- p.do(http.MethodPost, "http://"+p.PushAddr()+"/v1/push", `{"to":{"all":true},"event":"ask","data":1,"ack":"20s"}`)
	}()
	for _, pg := range pages {
		id := strings.TrimSuffix(pg.wantPrefix("42"), `["ask",1]`)
		pg.send("43" + id + `["yes"]`)
		pg.send("43" + id + `["again"]`)
		pg.send("439" + id + `["never asked"]`)
	}
	got := take(t, "the answer", answered)
	if !strings.Contains(got.body, `"matched":{"users":1,"connections":2},"stored":false,"acked":{"users":1,"connections":2,"answers":[`) ||
		strings.Count(got.body, `"uid":"7","args":["yes"]}`) != 2 {
		t.Errorf("%+v", got)
	}
	stranger.wantNothing()
	pages[0].wantNothing()
}

// A stop does not wait for acknowledgements that cannot come any more.
func TestAckStop(t *testing.T) {
	p := start(t, func(c *configs.Config) { c.Presence.OfflineDelay = 0 })
	pg := p.openAs("7")
	answered := make(chan answer)
	go func() {
		answered <- p.do(http.MethodPost, "http://"+p.PushAddr()+"/v1/push", `{"to":{"all":true},"event":"ask","ack":"60s"}`)
	}()
	pg.wantPrefix("42")
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if got := take(t, "the answer", answered); !strings.Contains(got.body, `"acked":{"users":0,"connections":0,"answers":[]}`) {
		t.Errorf("%+v", got)
	}
}
