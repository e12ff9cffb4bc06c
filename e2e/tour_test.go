package e2e

import (
	"os"
	"strings"
	"testing"
)

// startDemo starts crier demo and returns where its site is, and its public port; the test's end stops it.
func startDemo(t *testing.T) (site, public string) {
	t.Helper()
	s := launch(t, os.Getenv(crierVariable), nil, "demo")
	fields := strings.Fields(s.log.await(t, s.exited, "open ", "http://"))
	device := strings.Fields(s.log.await(t, s.exited, "crier listen"))
	s.log.await(t, s.exited, "Ctrl-C")
	return strings.TrimSuffix(fields[len(fields)-1], "/"), device[len(device)-3]
}

// TestTourChat has two people talk.
func TestTourChat(t *testing.T) {
	t.Parallel()
	site, _ := startDemo(t)
	ada := openPage(t, site+"/chat?name=Ada&lang=en", "", desktop)
	ada.wait(t, "#here li", "Ada")
	bo := openPage(t, site+"/chat?name=Bo&lang=zh", "", phone)
	bo.wait(t, "#here li.mine", "Bo")
	ada.wait(t, "#talk li.note", "Bo came in")
	ada.enter(t, "#say", "Has the <pump> been mended?")
	bo.wait(t, "#talk li", "Has the <pump> been mended?")
	bo.enter(t, "#say", "Since nine o'clock.")
	ada.wait(t, "#talk li", "Since nine")
	ada.picture(t, "tour-chat-en-1280", desktop)
	bo.enter(t, "#say", hard)
	ada.wait(t, "#talk li", hard)
	late := openPage(t, site+"/chat?name=Cleo&lang=en", "", desktop)
	late.wait(t, "#talk li", "mended?")
	late.wait(t, "#here li", "Bo")
	bo.picture(t, "tour-chat-zh-390", phone)
	for _, b := range []*browser{ada, bo, late} {
		b.content(t)
	}
}

// TestTourQuotes has prices come.
func TestTourQuotes(t *testing.T) {
	t.Parallel()
	site, _ := startDemo(t)
	b := openPage(t, site+"/quotes?lang=en", "", desktop)
	b.wait(t, "#quotes tr", "CRIER")
	b.wait(t, `#quotes tr:has(polyline[points*=" "])`, "") // a second price
	b.wait(t, "#bell", "The bell rang at")
	b.picture(t, "tour-quotes-en-1280", desktop)
	b.picture(t, "tour-quotes-en-390", phone)
	b.content(t)
}

// TestTourDevices commands the devices, and sees one come and go.
func TestTourDevices(t *testing.T) {
	t.Parallel()
	site, public := startDemo(t)
	b := openPage(t, site+"/devices?lang=en", "", desktop)
	listener := launch(t, os.Getenv(crierVariable), nil, "listen", "--url", public, "--uid", "device-7")
	b.wait(t, `#device-7[data-online="true"]`, "online since")
	b.click(t, "#device-7 button")
	listener.log.await(t, listener.exited, "command", "blink")
	b.wait(t, "#device-7 .answer", "done")
	b.click(t, "#all")
	b.wait(t, `#devices li .answer`, "✓ blink")
	b.wait(t, "#outcome", "acknowledged it")
	b.picture(t, "tour-devices-en-1280", desktop)
	listener.stop(t)
	b.wait(t, `#device-7[data-online="false"]`, "offline since")
	b.picture(t, "tour-devices-en-390", phone)
	zh := openPage(t, site+"/devices?lang=zh", "", desktop)
	zh.wait(t, "#devices li", "起在线")
	zh.picture(t, "tour-devices-zh-1280", desktop)
	for _, one := range []*browser{b, zh} {
		one.content(t)
	}
}
