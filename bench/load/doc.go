// Package load is a light Socket.IO client: many thousand connections in one process, read by one
// goroutine, so that what is measured is the server. It counts every message once and finds what is
// lost, comes twice or out of order.
//
// It speaks Engine.IO 4 over WebSocket and knows no more of it than its messages need. It works on
// Linux only.
package load
