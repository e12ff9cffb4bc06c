// Package cluster is Crier's side of Redis: what makes several servers one, and the emitters.
//
// A [Node] is this server among the others. It is registered in Redis under a lease, runs scripts there, and reads what is for it:
// its own stream and the common one, as one order. A [Relay] pushes through that to the connections of all nodes. An [Attendance] keeps the
// directory of who is with which node; a [Leader] does what only one of them may.
//
// The emitters are programs that push to the clients of Socket.IO servers by publishing in Redis, as @socket.io/redis-emitter and its
// kin in other languages do.
//
// [Emitters] keep one connection subscribed to what they publish, over losses of Redis and changes of the master that
// Sentinels know ([Redis]), and carry it out: one message after the other, in the order in which Redis has it, each by a
// push that never waits. So nothing gathers here; what comes faster than it can be carried out waits in Redis, which ends
// the connection beyond its client-output-buffer-limit.
//
// Wire forms: the documentation of @socket.io/redis-adapter ("Protocol"), and the emitters themselves; testdata has what
// they send.
package cluster
