package gemm

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/subquad/subquad/hw"
)

// Panels are what blocks of few bits are multiplied from: the same bytes, sixteen
// rows of blocks as one, in which each piece of a block (a scale, four bytes of
// numbers) stands beside the same piece of the other rows. A vector register then
// holds one piece of sixteen rows, none of whose lanes meet. The last panel is
// filled up with zeros.
//
// The products are made in integers. A group of the vector x, 32 or 16 numbers, is
// scale·Σ 256ⁱ·digit, with three digits of eight bits at the Highest precision
// and one at Medium; the sum of a group's products, byte times digit, is
// exact, and is rounded when its scales are applied. Three digits
// hold 23 bits below the group's largest number: as good as float32's 24 below each.
const panelRows = 16

// A unit is a piece of a block: count of them, size bytes each, follow one another. The bits
// of flip are inverted in a panel, which makes a signed byte one that begins at −128.
type unit struct {
	size, count int
	flip        byte
}

var panelUnits = [...][]unit{
	Q8_0: {{2, 1, 0}, {4, 8, 0x80}},
	Q4_0: {{2, 1, 0}, {4, 4, 0}},
	Q4_K: {{2, 2, 0}, {1, 12, 0}, {4, 32, 0}},
	Q6_K: {{4, 32, 0}, {4, 16, 0}, {1, 16, 0}, {2, 1, 0}},
}

// UsesPanels reports whether products with blocks are faster from panels at the
// level in use.
func UsesPanels() bool { return usePanels }

// PanelBytes is the size of rows of k numbers as panels.
func (q Quant) PanelBytes(rows, k int) int {
	return (rows + panelRows - 1) / panelRows * panelRows * q.RowBytes(k)
}

// Panels writes rows of k numbers, RowBytes(k) apart, to dst as panels. dst may
// begin where src does.
func (q Quant) Panels(dst, src []byte, rows, k int) {
	ld := q.RowBytes(k)
	if len(src) < rows*ld || len(dst) < q.PanelBytes(rows, k) {
		panic(fmt.Sprintf("gemm: %d bytes of %d rows of %d numbers in %v, %d for its panels", len(src), rows, k, q, len(dst)))
	}
	size := quants[q].size
	group := make([]byte, panelRows*ld)
	for r := 0; r < rows; r += panelRows {
		clear(group[copy(group, src[r*ld:min(r+panelRows, rows)*ld]):])
		for b := 0; b < ld; b += size {
			q.eachUnit(func(off, size int, flip byte, row int) {
				d, s := dst[r*ld+b*panelRows+off*panelRows+row*size:][:size], group[row*ld+b+off:][:size]
				move(d, s, flip)
			})
		}
	}
}

// FromPanels writes rows of k numbers to dst, RowBytes(k) apart, from panels: it is the inverse of Panels.
func (q Quant) FromPanels(dst, panels []byte, rows, k int) {
	ld := q.RowBytes(k)
	for r := range rows {
		q.panelRow(dst[r*ld:][:ld], panels, r, ld, 0)
	}
}

// DequantizePanel is Dequantize for numbers of a row, from the first-th on, of panels with k numbers a row.
func (q Quant) DequantizePanel(dst []float32, panels []byte, row, k, first int) {
	var buf [8 * 256]byte
	b := quants[q]
	most := len(buf) / b.size * b.block
	for len(dst) > 0 {
		n := min(len(dst), most)
		blocks := buf[:q.RowBytes(n)]
		q.panelRow(blocks, panels, row, q.RowBytes(k), q.RowBytes(first))
		q.Dequantize(dst[:n], blocks)
		dst, first = dst[n:], first+n
	}
}

// panelRow writes blocks of a row of ld bytes to dst, from byte first of the row on.
func (q Quant) panelRow(dst, panels []byte, row, ld, first int) {
	size := quants[q].size
	row, panel := row%panelRows, panels[row/panelRows*panelRows*ld:][:panelRows*ld]
	for b := 0; b < len(dst); b += size {
		block, d := panel[(first+b)*panelRows:][:size*panelRows], dst[b:][:size]
		off := 0
		for _, u := range panelUnits[q] {
			for range u.count {
				move(d[off:][:u.size], block[off*panelRows+row*u.size:], u.flip)
				off += u.size
			}
		}
	}
}

// eachUnit calls f for each row's units of a block.
func (q Quant) eachUnit(f func(off, size int, flip byte, row int)) {
	off := 0
	for _, u := range panelUnits[q] {
		for range u.count {
			for row := range panelRows {
				f(off, u.size, u.flip, row)
			}
			off += u.size
		}
	}
}

func move(dst, src []byte, flip byte) {
	switch len(dst) {
	case 1:
		dst[0] = src[0]
	case 2:
		binary.LittleEndian.PutUint16(dst, binary.LittleEndian.Uint16(src))
	default:
		binary.LittleEndian.PutUint32(dst, binary.LittleEndian.Uint32(src)^uint32(flip)*0x01010101)
	}
}

// MulPanels is MulQuant for n rows of B from row on, which are in panels.
func (h How) MulPanels(workers int, acc bool, q Quant, m, n, k int, a []float32, lda int, b []byte, row int, c []float32, ldc int) {
	if row < 0 || m > 0 && len(b) < q.PanelBytes(row+n, k) {
		panic("gemm: b is shorter than its shape")
	}
	check(false, true, m, n, k, len(a), lda, n*k, k, len(c), ldc)
	p := product{m: m, n: n, k: k, a: a, ars: lda, acs: 1, q: b, row: row, quant: q, ldb: q.RowBytes(k), form: formPanels, c: c, ldc: ldc, acc: acc, prec: h.Precision, after: h.After}
	p.run(workers)
}

// digits is how many digits of x the precision takes.
func (p Precision) digits() int { return 3 - int(p) }

// group is how many numbers of x have one scale.
func (q Quant) group() int {
	if q == Q6_K {
		return 16
	}
	return 32
}

// bias is what panels have more than the numbers they stand for, before the scale.
func (q Quant) bias() int { return [...]int{Q8_0: 128, Q4_0: 8, Q4_K: 0, Q6_K: 32}[q] }

// recordBytes is what prepareDigits writes for a group: digits, their sums times −bias, the scale, and the sum.
func (q Quant) recordBytes(digits int) int { return digits*q.group() + 4*digits + 8 }

// digitBytes is the size of a vector of k numbers as digits.
func (q Quant) digitBytes(digits, k int) int { return k / q.group() * q.recordBytes(digits) }

// prepareDigits makes digits of all rows of A. It reports whether it could: an infinite number
// has none, and where all of a group is next to nothing its scale would be a
// denormal number. Products are then made as float32.
func (p *product) prepareDigits(workers int) (s *scratch, ok bool) {
	s = pool.Get().(*scratch)
	p.digits = s.bytes(p.m * p.quant.digitBytes(p.prec.digits(), p.k))
	tasks := hw.Tasks(workers, p.m, float64(p.k)/4)
	if tasks <= 1 {
		return s, p.digitsOf(0, p.m)
	}
	q, done := *p, make([]bool, tasks)
	hw.Parallel(workers, tasks, func(t int) {
		lo, hi := hw.Range(t, tasks, q.m)
		done[t] = q.digitsOf(lo, hi)
	})
	return s, !slices.Contains(done, false)
}

func (p *product) digitsOf(lo, hi int) bool {
	digits := p.prec.digits()
	size := p.quant.digitBytes(digits, p.k)
	for i := lo; i < hi; i++ {
		if !panelDigits(p.quant.group(), digits, p.digits[i*size:][:size], p.a[i*p.ars:][:p.k], p.quant.bias()) {
			return false
		}
	}
	return true
}

const (
	panelVecs = 4  // vectors that share a panel's bytes
	panelMany = 64 // vectors whose digits stay in the second-level cache
	panelTmp  = 256
)

// panelDots computes rows i0…i1 and columns j0…j1, whole panels but for the last, from digits.
func (p *product) panelDots(i0, i1, j0, j1 int) {
	digits := p.prec.digits()
	size, ld := p.quant.digitBytes(digits, p.k), panelRows*p.ldb
	s := pool.Get().(*scratch)
	defer pool.Put(s)
	buf := s.bufA(panelTmp + panelVecs*panelRows)
	tmp, edge := buf[:panelTmp], buf[panelTmp:]
	for i := i0; i < i1; i += panelMany {
		end := min(i+panelMany, i1)
		for j := j0; j < j1; {
			w := p.q[(p.row+j)/panelRows*ld:]
			cols, panels := min(panelRows, j1-j), 1
			direct := cols == panelRows && !p.acc
			if direct && p.m == 1 { // as many as one call may take
				panels = min((j1-j)/panelRows, max(1, matvecBytes/ld))
			}
			for v := i; v < end; {
				nx := min(panelVecs, end-v)
				if nx == 3 {
					nx = 2
				}
				c, x := p.c[v*p.ldc+j:], p.digits[v*size:]
				if direct {
					p.panels(nx, digits, panels, w, x, size, c, p.ldc, tmp)
				} else {
					p.panels(nx, digits, 1, w, x, size, edge, panelRows, tmp)
					for r := range nx {
						scatter(edge[r*panelRows:][:cols], cols, c[r*p.ldc:], 0, 1, p.acc)
					}
				}
				v += nx
			}
			j += panels * panelRows
		}
	}
}

// panels sets y, 16 numbers for each of so many panels, to their products with nx vectors.
func (p *product) panels(nx, digits, panels int, w, x []byte, ldx int, y []float32, ldy int, tmp []float32) {
	_, _, _ = w[panels*panelRows*p.ldb-1], x[(nx-1)*ldx+p.quant.digitBytes(digits, p.k)-1], y[(nx-1)*ldy+panels*panelRows-1]
	panelProducts(p.quant, nx, digits, panels, p.k/quants[p.quant].block, w, x, ldx, y, ldy, tmp)
}
