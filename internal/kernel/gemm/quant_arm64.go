//go:build !purego

package gemm

// The assembly is printed by internal/asmgen/quantneon.go.

// dot4… sets y[r] to row r of w times x for four rows, ldw bytes apart, of
// blocks blocks; the order of the sums depends on the number of blocks alone.
//
//go:noescape
func dot4Q80NEON(w *byte, ldw int, x *float32, blocks int, y *float32)

//go:noescape
func dot4Q40NEON(w *byte, ldw int, x *float32, blocks int, y *float32)

//go:noescape
func dequantQ80NEON(dst *float32, src *byte, blocks int)

//go:noescape
func dequantQ40NEON(dst *float32, src *byte, blocks int)

//go:noescape
func dequantQ4KNEON(dst *float32, q *byte, scale, min *float32)

//go:noescape
func dequantQ6KNEON(dst *float32, src *byte, scale *float32)

// dot4 multiplies four rows by x into c, if the level has a kernel for the type.
func (q Quant) dot4(k int, w []byte, ldw int, x, c []float32, acc bool) bool {
	if !useNEON || q > Q4_0 {
		return false
	}
	_, _, _ = w[3*ldw+q.RowBytes(k)-1], x[k-1], c[3]
	var y [4]float32
	if q == Q8_0 {
		dot4Q80NEON(&w[0], ldw, &x[0], k/32, &y[0])
	} else {
		dot4Q40NEON(&w[0], ldw, &x[0], k/32, &y[0])
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
	if !useNEON {
		return false
	}
	switch q {
	case Q8_0:
		dequantQ80NEON(&dst[0], &src[0], len(dst)/32)
	case Q4_0:
		dequantQ40NEON(&dst[0], &src[0], len(dst)/32)
	case Q4_K:
		for ; len(dst) > 0; dst, src = dst[256:], src[144:] {
			var s scales4K
			s.read(src)
			dequantQ4KNEON(&dst[0], &src[16], &s.scale[0], &s.min[0])
		}
	case Q6_K:
		for ; len(dst) > 0; dst, src = dst[256:], src[210:] {
			var s [16]float32
			scales6K(src, &s)
			dequantQ6KNEON(&dst[0], &src[0], &s[0])
		}
	}
	return true
}
