// Package e2e tests the built Crier binary from outside, with the clients its users have: the
// official socket.io clients, web-msg-sender's page in a real browser, curl, PHP and a receiver of
// callbacks. It holds tests only; README.md says how to run one of them.
package e2e
