// Push sends an event to a user: go run ./examples/go/push UID EVENT JSON
// CRIER_URL is Crier's push port, http://127.0.0.1:2121 unless set; CRIER_KEY a key of api.keys, if one is needed.
package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

type answer struct {
	Matched      struct{ Users, Connections int } // who was there
	Code, Detail string                           // of a refusal; the code never changes from release to release
}

func push(uids []string, event string, data json.RawMessage) (a answer, err error) {
	to := map[string]any{"users": uids}
	// The id makes it harmless to try again: the same id is pushed once.
	body, err := json.Marshal(map[string]any{"id": rand.Text(), "to": to, "event": event, "data": data})
	for try, again := 1, err == nil; again && try <= 3; try++ {
		time.Sleep(time.Duration(try-1) * time.Second)
		a, again, err = post(body)
	}
	return a, err
}

var client = &http.Client{Timeout: 5 * time.Second}

func post(body []byte) (a answer, again bool, err error) {
	url := cmp.Or(os.Getenv("CRIER_URL"), "http://127.0.0.1:2121") + "/v1/push"
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return a, false, err
	}
	request.Header.Set("X-Api-Key", os.Getenv("CRIER_KEY")) // empty is none
	response, err := client.Do(request)
	if err != nil {
		return a, true, err
	}
	defer response.Body.Close()
	err = json.NewDecoder(response.Body).Decode(&a)
	if status := response.StatusCode; status != http.StatusOK {
		return a, status == 429 || status == 503, fmt.Errorf("%s: %s %s", response.Status, a.Code, a.Detail)
	}
	return a, err != nil, err
}

func main() { // push UID EVENT JSON
	a, err := push(os.Args[1:2], os.Args[2], json.RawMessage(os.Args[3]))
	if err != nil {
		log.Fatal("push: ", err)
	}
	fmt.Printf("it goes to %d users on %d connections\n", a.Matched.Users, a.Matched.Connections)
}
