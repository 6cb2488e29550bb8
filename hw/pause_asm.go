//go:build !purego && (amd64 || arm64)

package hw

// pause tells the processor that the program waits for another core: some tens
// of nanoseconds in which a thread beside it has the core's units to itself.
//
// The assembly is printed by internal/asmgen/pause.go.
func pause()
