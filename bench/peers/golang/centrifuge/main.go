// Command centrifuge is a server with centrifugal/centrifuge, as one would write it: each user and everybody is a channel that the
// server subscribes clients to.
package main

import (
	"context"
	"encoding/json"
	"log"

	"github.com/centrifugal/centrifuge"

	"crier/bench/peers/golang"
)

func main() {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnecting(func(_ context.Context, e centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		var who struct{ UID string }
		if err := json.Unmarshal(e.Data, &who); err != nil || who.UID == "" {
			return centrifuge.ConnectReply{}, centrifuge.DisconnectInvalidToken
		}
		return centrifuge.ConnectReply{
			Credentials:   &centrifuge.Credentials{UserID: who.UID},
			Subscriptions: map[string]centrifuge.SubscribeOptions{"all": {}, "user:" + who.UID: {}},
		}, nil
	})
	node.OnConnect(func(*centrifuge.Client) {})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	golang.Main("github.com/centrifugal/centrifuge", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}), func(to, content string) bool {
		channel := "all"
		if to != "" {
			if channel = "user:" + to; node.Hub().NumSubscribers(channel) == 0 {
				return false
			}
		}
		data, err := json.Marshal(content)
		if err == nil {
			_, err = node.Publish(channel, data)
		}
		return err == nil
	})
}
