package gemm

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A Quant is a way to hold weights in a few bits: blocks of numbers of one
// row, with their scales, laid out byte for byte as in GGUF files
// (ggml-org/ggml: src/ggml-common.h and src/ggml-quants.c).
type Quant uint8

const (
	Q8_0 Quant = iota // 32 numbers: a half-precision scale, 32 int8
	Q4_0              // 32 numbers: a half-precision scale, 16 bytes of two
	Q4_K              // 256 numbers: scales and minima of 32 each in 6 bits
	Q6_K              // 256 numbers: scales of 16 each in 8 bits
)

var quants = [...]struct {
	name        string
	block, size int // numbers, bytes
}{{"Q8_0", 32, 34}, {"Q4_0", 32, 18}, {"Q4_K", 256, 144}, {"Q6_K", 256, 210}}

func (q Quant) String() string {
	if int(q) < len(quants) {
		return quants[q].name
	}
	return fmt.Sprintf("Quant(%d)", q)
}

// Block is how many numbers a block holds, and in how many bytes.
func (q Quant) Block() (numbers, bytes int) { return quants[q].block, quants[q].size }

// RowBytes is the size of a row of k numbers, a multiple of the block.
func (q Quant) RowBytes(k int) int {
	b := quants[q]
	if k%b.block != 0 {
		panic(fmt.Sprintf("gemm: a row of %d numbers in %v: want a multiple of %d", k, q, b.block))
	}
	return k / b.block * b.size
}

func half(b []byte) float32 { return widenF16(binary.LittleEndian.Uint16(b)) }

// Dequantize widens len(dst) numbers, whole blocks, to the floats that ggml gives.
func (q Quant) Dequantize(dst []float32, src []byte) {
	n := q.RowBytes(len(dst))
	src = src[:n:n]
	if len(dst) > 0 && !q.dequantizeFast(dst, src) {
		q.dequantizeGeneric(dst, src)
	}
}

func (q Quant) dequantizeGeneric(dst []float32, src []byte) {
	b := quants[q]
	for ; len(dst) > 0; dst, src = dst[b.block:], src[b.size:] {
		y, x := dst[:b.block], src[:b.size]
		switch q {
		case Q8_0:
			d := half(x)
			for i, v := range x[2:] {
				y[i] = float32(int8(v)) * d
			}
		case Q4_0:
			d := half(x)
			for i, v := range x[2:] {
				y[i] = float32(int(v&15)-8) * d
				y[i+16] = float32(int(v>>4)-8) * d
			}
		case Q4_K:
			var s scales4K
			s.read(x)
			for g := range 4 {
				for i, v := range x[16+32*g:][:32] {
					y[64*g+i] = float32(s.scale[2*g]*float32(v&15)) - s.min[2*g]
					y[64*g+32+i] = float32(s.scale[2*g+1]*float32(v>>4)) - s.min[2*g+1]
				}
			}
		case Q6_K:
			var s [16]float32
			scales6K(x, &s)
			for h := range 2 {
				ql, qh, sc, y := x[64*h:][:64], x[128+32*h:][:32], s[8*h:][:8], y[128*h:][:128]
				for l := range 32 {
					i, hi := l/16, qh[l]
					y[l] = sc[i] * float32(int(ql[l]&15|hi<<4&48)-32)
					y[l+32] = sc[i+2] * float32(int(ql[l+32]&15|hi<<2&48)-32)
					y[l+64] = sc[i+4] * float32(int(ql[l]>>4|hi&48)-32)
					y[l+96] = sc[i+6] * float32(int(ql[l+32]>>4|hi>>2&48)-32)
				}
			}
		}
	}
}

// scales4K are the eight scales and minima of a Q4_K block.
type scales4K struct{ scale, min [8]float32 }

func (s *scales4K) read(x []byte) {
	d, dmin, q := half(x), half(x[2:]), x[4:16]
	for j := range 8 {
		sc, m := q[j%4]&63, q[j%4+4]&63
		if j >= 4 {
			sc, m = q[j+4]&15|q[j-4]>>6<<4, q[j+4]>>4|q[j]>>6<<4
		}
		s.scale[j], s.min[j] = d*float32(sc), dmin*float32(m)
	}
}

func scales6K(x []byte, s *[16]float32) {
	d := half(x[208:])
	for i := range s {
		s[i] = d * float32(int8(x[192+i]))
	}
}

// Quantize narrows whole blocks to dst: Q8_0 and Q4_0 as ggml's reference
// does, Q4_K and Q6_K by the range of each group, without ggml's search for a
// better scale.
func (q Quant) Quantize(dst []byte, src []float32) {
	n := q.RowBytes(len(src))
	dst = dst[:n]
	b := quants[q]
	for ; len(src) > 0; dst, src = dst[b.size:], src[b.block:] {
		x, y := src[:b.block], dst[:b.size]
		switch q {
		case Q8_0:
			d := largest(x, false) / 127
			putHalf(y, d)
			inv := inverse(d)
			for i, v := range x {
				y[2+i] = byte(int8(math.Round(float64(v * inv))))
			}
		case Q4_0:
			d := largest(x, true) / -8
			putHalf(y, d)
			inv := inverse(d)
			for i := range 16 {
				lo, hi := min(15, int(x[i]*inv+8.5)), min(15, int(x[i+16]*inv+8.5))
				y[2+i] = byte(lo | hi<<4)
			}
		case Q4_K:
			quantize4K(y, x)
		case Q6_K:
			quantize6K(y, x)
		}
	}
}

// largest is the largest size of the numbers, or with sign the number of that size.
func largest(x []float32, sign bool) float32 {
	var best, value float32
	for _, v := range x {
		if a := float32(math.Abs(float64(v))); a > best {
			best, value = a, v
		}
	}
	if sign {
		return value
	}
	return best
}

func inverse(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

func putHalf(b []byte, v float32) { binary.LittleEndian.PutUint16(b, narrowF16(v)) }

func clampInt(v float32, lo, hi int) int { return max(lo, min(hi, int(math.RoundToEven(float64(v))))) }

func quantize4K(y []byte, x []float32) {
	var scale, minimum [8]float32
	var maxScale, maxMin float32
	for j := range 8 {
		lo, hi := float32(0), float32(math.Inf(-1))
		for _, v := range x[32*j:][:32] {
			lo, hi = min(lo, v), max(hi, v)
		}
		scale[j], minimum[j] = max(0, hi-lo)/15, -lo
		maxScale, maxMin = max(maxScale, scale[j]), max(maxMin, minimum[j])
	}
	putHalf(y, maxScale/63)
	putHalf(y[2:], maxMin/63)
	q := y[4:16]
	clear(q)
	for j := range 8 {
		sc := byte(clampInt(scale[j]*inverse(maxScale/63), 0, 63))
		m := byte(clampInt(minimum[j]*inverse(maxMin/63), 0, 63))
		if j < 4 {
			q[j] |= sc
			q[j+4] |= m
		} else {
			q[j+4] = sc&15 | m<<4
			q[j-4] |= sc >> 4 << 6
			q[j] |= m >> 4 << 6
		}
	}
	var s scales4K
	s.read(y)
	for g := range 4 {
		for i := range 32 {
			lo := clampInt((x[64*g+i]+s.min[2*g])*inverse(s.scale[2*g]), 0, 15)
			hi := clampInt((x[64*g+32+i]+s.min[2*g+1])*inverse(s.scale[2*g+1]), 0, 15)
			y[16+32*g+i] = byte(lo | hi<<4)
		}
	}
}

func quantize6K(y []byte, x []float32) {
	var scale [16]float32
	for j := range scale {
		scale[j] = largest(x[16*j:][:16], true) / -32
	}
	d := largest(scale[:], true) / -128
	putHalf(y[208:], d)
	for j, v := range scale {
		y[192+j] = byte(int8(clampInt(v*inverse(half(y[208:])), -128, 127)))
	}
	var s [16]float32
	scales6K(y, &s)
	clear(y[:192])
	for i, v := range x {
		q := clampInt(v*inverse(s[i/16]), -32, 31) + 32
		h, l := i/128, i%128
		at, low := 64*h+l%64, l < 64
		if low {
			y[at] |= byte(q & 15)
		} else {
			y[at] |= byte(q & 15 << 4)
		}
		y[128+32*h+l%32] |= byte(q >> 4 << (2 * (l / 32)))
	}
}

// narrowF16 rounds to the nearest half-precision number, ties to even.
func narrowF16(v float32) uint16 {
	b := math.Float32bits(v)
	sign, a := uint16(b>>16)&0x8000, b&0x7fffffff
	switch {
	case a > 0x7f800000:
		return sign | 0x7e00
	case a >= 0x477ff000: // rounds to 65536 or more
		return sign | 0x7c00
	case a < 0x38800000: // subnormal: in units of 2⁻²⁴
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(a))*(1<<24)))
	}
	a += 0xfff + a>>13&1
	return sign | uint16((a-0x38000000)>>13)
}

// MulQuant computes C = A·Bᵀ, or C += A·Bᵀ with acc, for a B of n rows of k
// quantised numbers, RowBytes(k) apart. A and C are float32, and so are the
// products: activations are not rounded.
func MulQuant(workers int, acc bool, q Quant, m, n, k int, a []float32, lda int, b []byte, c []float32, ldc int) {
	How{}.MulQuant(workers, acc, q, m, n, k, a, lda, b, c, ldc)
}

// MulQuant is the function MulQuant in this way.
func (h How) MulQuant(workers int, acc bool, q Quant, m, n, k int, a []float32, lda int, b []byte, c []float32, ldc int) {
	ldb := q.RowBytes(k)
	if m > 0 && len(b) < n*ldb {
		panic("gemm: b is shorter than its shape")
	}
	check(false, true, m, n, k, len(a), lda, n*k, k, len(c), ldc)
	p := product{m: m, n: n, k: k, a: a, ars: lda, acs: 1, q: b, quant: q, ldb: ldb, form: formQuant, c: c, ldc: ldc, acc: acc, prec: h.Precision, after: h.After}
	p.run(workers)
}

// quantRows is the number of rows of B that a thin product takes at a time.
const quantRows = 4

// quantTerms is how many terms are widened at a time; a multiple of every block.
const quantTerms = 256

// dotQuant is dotB for quantised rows: one row of A meets the blocks as they
// are, where the level has a kernel for it; more rows share their widening.
func (p *product) dotQuant(i0, i1, j0, j1 int) {
	if p.matvec(j0, j1) || p.m > 1 && p.matmat(i0, i1, j0, j1) {
		return
	}
	var wide [quantRows * quantTerms]float32
	block := quants[p.quant]
	for j := j0; j < j1; j += quantRows {
		rows := min(quantRows, j1-j)
		w := p.q[j*p.ldb:]
		if p.m == 1 && rows == quantRows && p.quant.dot4(p.k, w, p.ldb, p.a, p.c[j:][:rows], p.acc) {
			continue
		}
		for pc := 0; pc < p.k; pc += quantTerms {
			kb := min(quantTerms, p.k-pc)
			for r := range rows {
				p.quant.Dequantize(wide[r*quantTerms:][:kb], w[r*p.ldb+pc/block.block*block.size:])
			}
			for i := i0; i < i1; i += dotVecs {
				dots(min(dotVecs, i1-i), rows, kb, p.a[i*p.ars+pc:], p.ars, wide[:], quantTerms, p.c[i*p.ldc+j:], p.ldc, 1, p.acc || pc > 0)
			}
		}
	}
}

// packQuant is packB for quantised columns j…j+cols: widened in the tail of buf, then transposed.
func (p *product) packQuant(dst []float32, j, cols, pc, kb int) {
	var wide [quantRows * quantTerms]float32
	for c := 0; c < cols; c += quantRows {
		rows := min(quantRows, cols-c)
		for r := range rows {
			p.widenBlocks(wide[r*quantTerms:][:kb], j+c+r, pc)
		}
		transpose(rows, kb, wide[:], quantTerms, dst[c:], blk.nr)
	}
}

// widenBlocks widens numbers of row j of B from the pc-th on, whole blocks.
func (p *product) widenBlocks(dst []float32, j, pc int) {
	if p.form == formPanels {
		p.quant.DequantizePanel(dst, p.q, p.row+j, p.k, pc)
		return
	}
	block := quants[p.quant]
	p.quant.Dequantize(dst, p.q[j*p.ldb+pc/block.block*block.size:])
}
