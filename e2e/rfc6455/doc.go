// Package rfc6455 is a suite of cases for servers that speak WebSocket: what bytes of a client they
// have to take, and which they have to refuse, and how. It knows nothing of Crier and shares no code with
// it, and runs against any server that sends messages back; the tests run it against Crier and against npm's ws.
//
// Cases are grouped as in RFC 6455: frames (§5.2, §5.3), fragments (§5.4), control frames (§5.5), closing (§7),
// text (§8.1), handshakes (§4). A server that negotiates no extension passes. Those of RFC 7692, compression, are apart.
package rfc6455
