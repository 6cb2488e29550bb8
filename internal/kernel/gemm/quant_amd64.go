//go:build !purego

package gemm

// The assembly is printed by internal/asmgen/quant.go.

//go:noescape
func dequantQ80AVX512(dst *float32, src *byte, blocks int)

//go:noescape
func dequantQ80AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func dequantQ40AVX512(dst *float32, src *byte, blocks int)

//go:noescape
func dequantQ40AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func dequantQ4KAVX512(dst *float32, q *byte, scale, min *float32)

//go:noescape
func dequantQ4KAVX2(dst *float32, q *byte, scale, min *float32)

//go:noescape
func dequantQ6KAVX512(dst *float32, src *byte, scale *float32)

//go:noescape
func dequantQ6KAVX2(dst *float32, src *byte, scale *float32)

// dot4 is for levels without matvec.
func (q Quant) dot4(k int, w []byte, ldw int, x, c []float32, acc bool) bool { return false }

// dequantizeFast is Dequantize by the level's kernels.
func (q Quant) dequantizeFast(dst []float32, src []byte) bool {
	if !useAVX2 {
		return false
	}
	switch q {
	case Q8_0:
		if useAVX512 {
			dequantQ80AVX512(&dst[0], &src[0], len(dst)/32)
		} else {
			dequantQ80AVX2(&dst[0], &src[0], len(dst)/32)
		}
	case Q4_0:
		if useAVX512 {
			dequantQ40AVX512(&dst[0], &src[0], len(dst)/32)
		} else {
			dequantQ40AVX2(&dst[0], &src[0], len(dst)/32)
		}
	case Q4_K:
		for ; len(dst) > 0; dst, src = dst[256:], src[144:] {
			var s scales4K
			s.read(src)
			if useAVX512 {
				dequantQ4KAVX512(&dst[0], &src[16], &s.scale[0], &s.min[0])
			} else {
				dequantQ4KAVX2(&dst[0], &src[16], &s.scale[0], &s.min[0])
			}
		}
	case Q6_K:
		for ; len(dst) > 0; dst, src = dst[256:], src[210:] {
			var s [16]float32
			scales6K(src, &s)
			if useAVX512 {
				dequantQ6KAVX512(&dst[0], &src[0], &s[0])
			} else {
				dequantQ6KAVX2(&dst[0], &src[0], &s[0])
			}
		}
	}
	return true
}
