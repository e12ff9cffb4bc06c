// Package load is a light client of realtime servers: many thousand connections in one process, read by
// one goroutine, so that what is measured is the server. It counts every message once and finds what is
// lost, comes twice or out of order.
//
// It speaks Engine.IO 3 and 4 over WebSocket and polling, Server-Sent Events and Centrifuge's JSON, and
// knows no more of them than its messages need. Connections are made on Linux only.
package load
