//go:build !purego && (amd64 || arm64)

package hw

import (
	"slices"

	"github.com/klauspost/cpuid/v2"
)

func probe() Machine {
	c := cpuid.CPU
	m := Machine{
		Brand: c.BrandName, Vendor: c.VendorString,
		Cores: c.PhysicalCores, Threads: c.LogicalCores,
		L1d: c.Cache.L1D, L2: c.Cache.L2, L3: c.Cache.L3, Line: c.CacheLine,
	}
	for f, id := range featureIDs {
		if c.Supports(id) {
			m.Features = append(m.Features, f)
		}
	}
	slices.Sort(m.Features)
	return m
}
