//go:build !race

package stagetest

// raceDetector says that the binaries under test are to be built without the race detector, as this one is.
const raceDetector = false
