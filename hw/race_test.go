//go:build race

package hw

// The race detector makes sync.Pool forget at random.
const raceEnabled = true
