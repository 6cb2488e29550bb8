package tensor

import "math"

// bitsToFloat widens one bfloat16 or half.
func bitsToFloat(d DType, b uint16) float32 {
	if d == BF16 {
		return math.Float32frombits(uint32(b) << 16)
	}
	sign, exp, frac := uint32(b>>15)<<31, int(b>>10)&31, uint32(b&1023)
	switch {
	case exp == 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case exp == 0:
		v := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(v))
	}
	return math.Float32frombits(sign | uint32(exp+112)<<23 | frac<<13)
}
