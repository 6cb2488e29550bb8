//go:build purego || !(amd64 || arm64)

package hw

func pause() {}
