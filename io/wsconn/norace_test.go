//go:build !race

package wsconn

// raceEnabled says that the race detector is on.
const raceEnabled = false
