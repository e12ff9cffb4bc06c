// Callback receives Crier's callbacks: go run ./examples/go/callback, and crier --webhook.url http://127.0.0.1:8000/
// CRIER_WEBHOOK_SECRET is one of Crier's webhook.secrets (whsec_…), PORT where to listen.
package main

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// genuine says whether Crier signed these very bytes, perhaps with several secrets, in the last five minutes (standardwebhooks.com).
func genuine(key []byte, h http.Header, body []byte) bool {
	seconds, err := strconv.ParseInt(h.Get("Webhook-Timestamp"), 10, 64)
	lately := err == nil && time.Since(time.Unix(seconds, 0)).Abs() <= 5*time.Minute
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(h.Get("Webhook-Id") + "." + h.Get("Webhook-Timestamp") + "." + string(body)))
	want := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return lately && slices.ContainsFunc(strings.Split(h.Get("Webhook-Signature"), " "), func(one string) bool { return hmac.Equal([]byte(one), want) })
}

func main() {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("CRIER_WEBHOOK_SECRET"), "whsec_"))
	if err != nil || len(key) == 0 { // without a key anybody could sign
		log.Fatal("CRIER_WEBHOOK_SECRET has to be whsec_ and base64")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "8000"))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on http://%s/", listener.Addr())
	server := &http.Server{ReadTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event struct {
			Type string
			Data struct {
				UID     string
				Version int64
			}
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil || !genuine(key, r.Header, body) || json.Unmarshal(body, &event) != nil {
			w.WriteHeader(http.StatusUnauthorized)
		} else if event.Type == "client.event" { // what a browser says, of forward.events: forward.url is the place for it
			w.WriteHeader(http.StatusNotFound)
		} else { // It comes until it is answered by 2xx, even twice: UPDATE users SET online=?, version=? WHERE uid=? AND version<?
			log.Printf("%s %s %d", event.Type, event.Data.UID, event.Data.Version)
		}
	})}
	log.Fatal(server.Serve(listener))
}
