//go:build !purego

package hw

import "github.com/klauspost/cpuid/v2"

var featureIDs = map[Feature]cpuid.FeatureID{
	FeatureASIMD: cpuid.ASIMD, FeatureDotProd: cpuid.ASIMDDP, FeatureFP16: cpuid.ASIMDHP, FeatureBF16: cpuid.BF16,
	FeatureI8MM: cpuid.I8MM, FeatureSVE: cpuid.SVE, FeatureSVE2: cpuid.SVE2,
}

func detect(Level) (levels []Level, why string) {
	if why := lacking(FeatureASIMD); why != "" {
		return []Level{Portable}, why
	}
	return []Level{Portable, NEON}, ""
}
