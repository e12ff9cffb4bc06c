// Package attack has what hostile clients and callers do to a push server: families of inputs, each known from an advisory, a
// specification or experience, on every way into the server that it can take. It knows the protocols and nothing of Crier's code.
package attack
