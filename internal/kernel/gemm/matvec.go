package gemm

import (
	"sync"
	"unsafe"
)

// matvecBytes of weights are read in one call of a kernel, which cannot be preempted: about 50 µs' worth.
const matvecBytes = 512 << 10

// halves are all half-precision numbers as float32: a block's scale is looked up
// here, which takes a load where a conversion takes four vector instructions.
var halves = sync.OnceValue(func() *[1 << 16]float32 {
	t := new([1 << 16]float32)
	for i := range t {
		t[i] = widenF16(uint16(i))
	}
	return t
})

// matvec multiplies rows j0…j1 of B by the one row of A, if the level has a
// kernel for rows of so many terms. The order of a sum depends on k alone.
func (p *product) matvec(j0, j1 int) bool {
	vec := matvecVector()
	if vec == 0 || p.m != 1 || p.acs != 1 && p.k != 1 {
		return false
	}
	var w unsafe.Pointer
	var ldw, n int
	switch p.form {
	case formCols:
		_ = p.b[(j1-1)*p.ldb+p.k-1]
		w, ldw, n = unsafe.Pointer(&p.b[j0*p.ldb]), 4*p.ldb, p.k/vec
	case formBF16, formF16:
		_ = p.h[(j1-1)*p.ldb+p.k-1]
		w, ldw, n = unsafe.Pointer(&p.h[j0*p.ldb]), 2*p.ldb, p.k/vec
	case formQuant:
		_ = p.q[(j1-1)*p.ldb+p.quant.RowBytes(p.k)-1]
		vec = quants[p.quant].block
		w, ldw, n = unsafe.Pointer(&p.q[j0*p.ldb]), p.ldb, p.k/vec
	default:
		return false
	}
	if n == 0 || p.k%vec != 0 {
		return false
	}
	x := p.a[:p.k]
	sums := x
	var s *scratch
	if p.form == formQuant {
		s = pool.Get().(*scratch)
		x, sums = p.quant.prepare(s, x)
	}
	var added [64]float32
	step := max(1, matvecBytes/ldw)
	if p.acc {
		step = min(step, len(added))
	}
	for j := j0; j < j1; j += step {
		c := p.c[j:min(j+step, j1)]
		y := c
		if p.acc {
			y = added[:len(c)]
		}
		matvecRows(p.form, p.quant, n, unsafe.Add(w, (j-j0)*ldw), ldw, x, sums, y)
		if p.acc {
			for i, v := range y {
				c[i] += v
			}
		}
	}
	if s != nil {
		pool.Put(s)
	}
	return true
}
