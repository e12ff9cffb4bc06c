// Package bench measures a realtime server under a load: what `crier bench` does. Any server that speaks
// Socket.IO, and a few others, are measured by the same client, [crier/bench/load].
package bench
