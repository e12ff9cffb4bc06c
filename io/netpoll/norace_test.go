//go:build !race

package netpoll

// raceEnabled says that the race detector is on.
const raceEnabled = false
