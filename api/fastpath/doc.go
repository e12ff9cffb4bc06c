// Package fastpath answers the few kinds of small HTTP/1.1 requests that a port gets most of, and leaves everything else
// to net/http.
//
// A [Listener] stands between a port and the [http.Server] that serves it. It reads what comes on a connection; a request
// that it takes is answered by the server's own Handler, without what net/http does for each request in case it
// is a long, chunked, hijacked or abandoned one. Those for a WebSocket can be taken as well, and their handlers take the connections
// over. The first request on a connection that it does not take, or does not understand
// to the last byte, goes to the server with all that comes after it: a Listener never refuses anything itself.
package fastpath
