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

// weights are rows of B as the kernels take them.
type weights struct {
	at  unsafe.Pointer
	ldw int // bytes from row to row
	n   int // blocks in a row, or groups of unit numbers
}

// rowsOfB is rows j0…j1 of B in groups of unit plain numbers; ok is false where the level has
// no kernel for rows of so many terms.
func (p *product) rowsOfB(j0, j1, unit int) (w weights, ok bool) {
	if unit == 0 {
		return w, false
	}
	switch p.form {
	case formCols:
		_ = p.b[(j1-1)*p.ldb+p.k-1]
		w.at, w.ldw = unsafe.Pointer(&p.b[j0*p.ldb]), 4*p.ldb
	case formBF16, formF16:
		_ = p.h[(j1-1)*p.ldb+p.k-1]
		w.at, w.ldw = unsafe.Pointer(&p.h[j0*p.ldb]), 2*p.ldb
	case formQuant:
		_ = p.q[(j1-1)*p.ldb+p.quant.RowBytes(p.k)-1]
		w.at, w.ldw = unsafe.Pointer(&p.q[j0*p.ldb]), p.ldb
		unit = quants[p.quant].block
	default:
		return w, false
	}
	w.n = p.k / unit
	return w, w.n > 0 && p.k%unit == 0
}

// matvec multiplies rows j0…j1 of B by the one row of A, if the level has a
// kernel for rows of so many terms. The order of a sum depends on k alone.
func (p *product) matvec(j0, j1 int) bool {
	if p.m != 1 || p.acs != 1 {
		return false
	}
	w, ok := p.rowsOfB(j0, j1, matvecVector(p.form))
	if !ok {
		return false
	}
	x := p.a[:p.k]
	if p.form != formQuant && !p.acc {
		p.plain(w, x, p.c[j0:j1])
		return true
	}
	sums := x
	var s *scratch
	if p.form == formQuant {
		s = pool.Get().(*scratch)
		x, sums = p.quant.prepare(s, x)
	}
	var added [64]float32
	step := max(1, matvecBytes/w.ldw)
	if p.acc {
		step = min(step, len(added))
	}
	for j := j0; j < j1; j += step {
		c := p.c[j:min(j+step, j1)]
		y := c
		if p.acc {
			y = added[:len(c)]
		}
		rows := w
		rows.at = unsafe.Add(w.at, (j-j0)*w.ldw)
		if p.form == formQuant {
			matvecRows(p.quant, w.n, rows.at, w.ldw, x, sums, y)
		} else {
			p.plain(rows, x, y)
		}
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

// plain sets y to rows of numbers times x: four quarters of them side by side, each read from its first
// row to its last, and what is left.
func (p *product) plain(w weights, x, y []float32) {
	quarter := len(y) / 4
	step := max(1, matvecBytes/(4*w.ldw))
	for r := 0; r < quarter; r += step {
		matvecStreams(p.form, min(step, quarter-r), w.n, unsafe.Add(w.at, r*w.ldw), w.ldw, quarter*w.ldw, x, y[r:], quarter)
	}
	if r := 4 * quarter; r < len(y) { // four times the same
		matvecStreams(p.form, len(y)-r, w.n, unsafe.Add(w.at, r*w.ldw), w.ldw, 0, x, y[r:], 0)
	}
}

// matmatRow is how many rows of B one call of a kernel for several vectors takes.
const matmatRow = 64

// matmat is matvec for several rows of A, i0…i1: four or two at a time, each with the
// same order of sums; missing ones are zeros.
func (p *product) matmat(i0, i1, j0, j1 int) bool {
	if p.acs != 1 {
		return false
	}
	vec := matvecVector(p.form)
	w, ok := p.rowsOfB(j0, j1, 2*vec)
	if !ok {
		return false
	}
	s := pool.Get().(*scratch)
	m := (i1 - i0 + 1) &^ 1
	x := s.bufA(m * p.k)
	for i := 0; i < m; i += 4 {
		nx := min(4, m-i)
		interleave(x[i*p.k:], p.a[(i0+i)*p.ars:], p.ars, p.k, vec, min(nx, i1-i0-i), nx)
	}
	var y [4 * matmatRow]float32
	for j := j0; j < j1; j += matmatRow {
		rows := min(matmatRow, j1-j)
		for i := 0; i < m; i += 4 {
			nx := min(4, m-i)
			matmatRows(nx, p.form, p.quant, rows, w.n, unsafe.Add(w.at, (j-j0)*w.ldw), w.ldw, x[i*p.k:], y[:], matmatRow)
			for r := range min(nx, i1-i0-i) {
				c := p.c[(i0+i+r)*p.ldc+j:][:rows]
				if p.acc {
					for l, v := range y[r*matmatRow:][:rows] {
						c[l] += v
					}
				} else {
					copy(c, y[r*matmatRow:])
				}
			}
		}
	}
	pool.Put(s)
	return true
}

// interleave writes vec numbers of each of have vectors in turn, and zeros for those up to nx.
func interleave(dst, x []float32, ldx, k, vec, have, nx int) {
	for i := range nx {
		for at := 0; at < k; at += vec {
			d := dst[at*nx+i*vec:][:vec]
			if i < have {
				copy(d, x[i*ldx+at:])
			} else {
				clear(d)
			}
		}
	}
}
