package checkpoint

import (
	"fmt"
	"math"
)

// readFloat32 converts all of b, elements of type d, into dst.
func readFloat32(dst []float32, d DType, b []byte) {
	dst = dst[:len(b)/d.Size()]
	switch d {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(le32(b, i))
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(le16(b, i)) << 16)
		}
	case F16:
		for i := range dst {
			dst[i] = fromF16(le16(b, i))
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(le64(b, i)))
		}
	}
}

func readFloat64(dst []float64, d DType, b []byte) {
	dst = dst[:len(b)/d.Size()]
	switch d {
	case F32:
		for i := range dst {
			dst[i] = float64(math.Float32frombits(le32(b, i)))
		}
	case BF16:
		for i := range dst {
			dst[i] = float64(math.Float32frombits(uint32(le16(b, i)) << 16))
		}
	case F16:
		for i := range dst {
			dst[i] = float64(fromF16(le16(b, i)))
		}
	case F64:
		for i := range dst {
			dst[i] = math.Float64frombits(le64(b, i))
		}
	}
}

// readInt64 converts all of b; first is the index of its first element, for the error.
func readInt64(dst []int64, d DType, b []byte, first int) error {
	dst = dst[:len(b)/d.Size()]
	for i := range dst {
		switch d {
		case Bool:
			if b[i] > 1 {
				return fmt.Errorf("value %d is %d, want 0 or 1 in a BOOL", first+i, b[i])
			}
			dst[i] = int64(b[i])
		case U8:
			dst[i] = int64(b[i])
		case I8:
			dst[i] = int64(int8(b[i]))
		case U16:
			dst[i] = int64(le16(b, i))
		case I16:
			dst[i] = int64(int16(le16(b, i)))
		case U32:
			dst[i] = int64(le32(b, i))
		case I32:
			dst[i] = int64(int32(le32(b, i)))
		case I64, U64:
			dst[i] = int64(le64(b, i))
			if d == U64 && dst[i] < 0 {
				return fmt.Errorf("value %d is %d, above the range of int64", first+i, le64(b, i))
			}
		}
	}
	return nil
}

// fromF16 widens an IEEE 754 binary16 value, exactly.
func fromF16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	rest := uint32(h&0x7fff) << 13
	if h&0x7c00 == 0x7c00 { // infinity and NaN keep their payload
		return math.Float32frombits(sign | rest | 0x7f800000)
	}
	// The exponents' biases differ by 112. The multiplication is exact, and
	// makes subnormal halves normal on the way.
	return math.Float32frombits(sign | math.Float32bits(math.Float32frombits(rest)*0x1p112))
}

// toF16 rounds to the nearest binary16, ties to even; above 65519 is infinite.
func toF16(f float32) uint16 {
	u := math.Float32bits(f)
	sign := uint16(u >> 16 & 0x8000)
	u &= 0x7fffffff
	switch {
	case u > 0x7f800000: // NaN: quiet, with what fits of its payload
		return sign | 0x7e00 | uint16(u>>13&0x1ff)
	case u >= 0x477ff000: // 65520, which rounds up to 2^16
		return sign | 0x7c00
	case u < 0x38800000: // below 2^-14 a half is a multiple of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(u))*0x1p24))
	}
	u += 0xfff + u>>13&1
	return sign | uint16(u>>13-112<<10)
}

// toBF16 rounds to the nearest bfloat16, ties to even.
func toBF16(f float32) uint16 {
	u := math.Float32bits(f)
	if u&0x7fffffff > 0x7f800000 {
		return uint16(u>>16) | 0x40 // a NaN must not round to infinity
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}
