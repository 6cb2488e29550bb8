//go:build purego || !(amd64 || arm64)

package hw

import "runtime"

func probe() Machine { return Machine{} }

func detect(Level) (levels []Level, why string) {
	return []Level{Portable}, "this build for " + runtime.GOARCH + " has no assembly"
}
