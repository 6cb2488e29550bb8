//go:build !purego

package gemm

// The assembly is printed by internal/asmgen/quant.go.

// dot4… sets y[r] to row r of w times x for four rows, ldw bytes apart, of
// blocks blocks; the order of the sums depends on the number of blocks alone.
//
//go:noescape
func dot4Q80AVX512(w *byte, ldw int, x *float32, blocks int, y *float32)

//go:noescape
func dot4Q80AVX2(w *byte, ldw int, x *float32, blocks int, y *float32)

//go:noescape
func dot4Q40AVX512(w *byte, ldw int, x *float32, blocks int, y *float32)

//go:noescape
func dot4Q40AVX2(w *byte, ldw int, x *float32, blocks int, y *float32)

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

// dot4 multiplies four rows by x into c, if the level has a kernel for the type.
func (q Quant) dot4(k int, w []byte, ldw int, x, c []float32, acc bool) bool {
	if !useAVX2 || q > Q4_0 {
		return false
	}
	_, _, _ = w[3*ldw+q.RowBytes(k)-1], x[k-1], c[3]
	var y [4]float32
	blocks := k / 32
	switch {
	case q == Q8_0 && useAVX512:
		dot4Q80AVX512(&w[0], ldw, &x[0], blocks, &y[0])
	case q == Q8_0:
		dot4Q80AVX2(&w[0], ldw, &x[0], blocks, &y[0])
	case useAVX512:
		dot4Q40AVX512(&w[0], ldw, &x[0], blocks, &y[0])
	default:
		dot4Q40AVX2(&w[0], ldw, &x[0], blocks, &y[0])
	}
	for r, v := range y {
		if acc {
			v += c[r]
		}
		c[r] = v
	}
	return true
}

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
