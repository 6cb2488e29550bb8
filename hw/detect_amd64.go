//go:build !purego

package hw

import "github.com/klauspost/cpuid/v2"

func detect() []Level {
	levels := []Level{Portable}
	cpu := cpuid.CPU
	if !cpu.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.BMI2) {
		return levels
	}
	levels = append(levels, AVX2)
	if !cpu.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512DQ) {
		return levels
	}
	return append(levels, AVX512)
}
