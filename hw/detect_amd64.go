//go:build !purego

package hw

import "github.com/klauspost/cpuid/v2"

var featureIDs = map[Feature]cpuid.FeatureID{
	FeatureAVX2: cpuid.AVX2, FeatureFMA: cpuid.FMA3, FeatureF16C: cpuid.F16C, FeatureBMI2: cpuid.BMI2, FeatureAVXVNNI: cpuid.AVXVNNI,
	FeatureAVX512F: cpuid.AVX512F, FeatureAVX512BW: cpuid.AVX512BW, FeatureAVX512VL: cpuid.AVX512VL, FeatureAVX512DQ: cpuid.AVX512DQ,
	FeatureAVX512BF16: cpuid.AVX512BF16, FeatureAVX512VNNI: cpuid.AVX512VNNI, FeatureAVX512FP16: cpuid.AVX512FP16,
	FeatureAMXTile: cpuid.AMXTILE, FeatureAMXBF16: cpuid.AMXBF16, FeatureAMXInt8: cpuid.AMXINT8,
}

// detect lists the levels up to limit, and says why there is none above the last.
// cpuid counts AVX and AVX-512 only where the system saves their registers.
func detect(limit Level) (levels []Level, why string) {
	levels = []Level{Portable}
	if why = lacking(FeatureAVX2, FeatureFMA, FeatureF16C, FeatureBMI2); why != "" {
		return levels, why
	}
	levels = append(levels, AVX2)
	if why = lacking(FeatureAVX512F, FeatureAVX512BW, FeatureAVX512VL, FeatureAVX512DQ); why != "" {
		return levels, why
	}
	levels = append(levels, AVX512)
	if why = lacking(FeatureAVX512BF16, FeatureAMXTile, FeatureAMXBF16, FeatureAMXInt8); why != "" {
		return levels, why
	}
	// Permission makes every signal frame of the process 8 KB larger, so a
	// process that may not use the tiles does not ask.
	if limit < AMX {
		return levels, "the tiles were not asked for: " + Env + "=" + limit.String()
	}
	if err := startAMX(); err != nil {
		return levels, err.Error()
	}
	return append(levels, AMX), ""
}
