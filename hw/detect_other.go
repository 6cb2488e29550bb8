//go:build purego || !(amd64 || arm64)

package hw

func detect() []Level { return []Level{Portable} }
