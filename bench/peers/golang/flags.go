// Package golang has what the peers in Go share: flags, versions and a push port.
package golang

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// Pusher delivers what is pushed; to "" is everybody. It reports whether anybody is there.
type Pusher func(to, content string) bool

// Main runs a peer whose library is the module of that path: public on the one port, and the form of web-msg-sender on the other.
func Main(module string, public http.Handler, push Pusher) {
	port := flag.Int("port", 0, "where clients connect on 127.0.0.1")
	pushPort := flag.Int("push-port", 0, "where is pushed")
	version := flag.Bool("version", false, "print the library's version")
	flag.Parse()
	if *version {
		fmt.Println(versionOf(module))
		return
	}
	ended := make(chan error, 2)
	for at, h := range map[int]http.Handler{*port: public, *pushPort: form(push)} {
		server := &http.Server{Addr: fmt.Sprintf("127.0.0.1:%d", at), Handler: h, ReadHeaderTimeout: 20 * time.Second}
		go func() { ended <- server.ListenAndServe() }()
	}
	fmt.Fprintln(os.Stderr, <-ended)
	os.Exit(1)
}

func form(push Pusher) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := "ok"
		if !push(r.FormValue("to"), r.FormValue("content")) {
			answer = "offline"
		}
		fmt.Fprint(w, answer)
	})
}

func versionOf(module string) string {
	version := "?"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == module {
				version = m.Version
			}
		}
	}
	return fmt.Sprintf("%s %s, %s", module, version, runtime.Version())
}
