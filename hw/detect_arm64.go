//go:build !purego

package hw

import "github.com/klauspost/cpuid/v2"

func detect() []Level {
	if cpuid.CPU.Supports(cpuid.ASIMD) {
		return []Level{Portable, NEON}
	}
	return []Level{Portable}
}
