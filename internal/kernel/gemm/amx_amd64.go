//go:build !purego

package gemm

import (
	"unsafe"

	"github.com/subquad/subquad/hw"
)

// The tile product. A tile is 16 rows of 64 bytes; the products of 32 terms of
// 16 rows of A with as many of 16 columns of B are one instruction, on a tile
// of A with 32 bfloat16 in a row and one of B with 16 pairs of terms in a row, a pair for
// each column. Both operands are packed before: steps of 32 terms follow one
// another, each with two tiles (32 rows of A, or 32 columns of B) for each of
// the bfloat16 terms that a float32 is a sum of.

// amxTiles multiplies 32 rows of packed A by panels of packed B, a panel being
// steps steps of 32 columns: c, rows ldc bytes apart, is set, or with load added to.
// kind is an index of amxKinds.
//
//go:noescape
func amxTiles(cfg *[64]byte, kind int, a, b *uint16, steps, panels int, c *float32, ldc, load int)

// amxRows packs rows (1…16) of floats, ld bytes apart, each as one row of tiles:
// steps times 32 numbers, of the last step only tail and zeros for the rest,
// as a sum of terms (1…3) tiles 2048 bytes apart. Steps are 2048·terms bytes apart.
//
//go:noescape
func amxRows(dst *uint16, src *float32, ld, rows, steps, tail, terms int)

// amxPairs packs columns (1…16) of rows rows of floats, ld bytes apart, two rows to a
// row of a tile, in the order of amxRows; zeros stand for rows that are missing.
//
//go:noescape
func amxPairs(dst *uint16, src *float32, ld, rows, steps, cols, terms int)

// amxTrans transposes tiles of pairs, srcStep bytes apart with rows ld bytes apart,
// into tiles dstStep bytes apart. Of the last one only tail numbers of a row
// exist, zeros stand for the rest. dst may be src.
//
//go:noescape
func amxTrans(dst, src *uint16, ld, srcStep, dstStep, steps, tail int)

// amxNaN reports whether there is a NaN in rows of cols floats, ldc bytes apart.
//
//go:noescape
func amxNaN(c *float32, ldc, rows, cols int) bool

var useAMX bool

func init() { hw.OnLevel(func(l hw.Level) { useAMX = l.Has(hw.AMX) }) }

var amxConfig = func() (cfg [64]byte) {
	cfg[0] = 1 // palette 1: eight tiles of 16 rows of 64 bytes
	for t := range 8 {
		cfg[16+2*t], cfg[48+t] = 64, 16
	}
	return cfg
}()

// amxKinds are the numbers of terms of A and B and of products of them that
// the kernel has: those whose terms are the i-th and the j-th with i+j less than the larger number.
var amxKinds = [...]struct{ a, b, products int }{{1, 1, 1}, {2, 1, 2}, {3, 1, 3}, {2, 2, 3}, {3, 2, 5}, {3, 3, 6}}

// amxKind is the kind of product.
func (p *product) amxKind() int {
	switch {
	case p.prec == Medium:
		return 0
	case p.form == formBF16 && p.prec == High:
		return 1
	case p.form == formBF16:
		return 2
	case p.prec == High:
		return 3
	case p.form == formF16:
		return 4
	}
	return 5
}

// Blocks of the tile product: amxKC terms of 32 rows of A, with all their terms, stay in the
// first-level cache, a block of B of amxBytes in the second-level one. amxMC bounds the scratch memory.
var (
	amxMC    = 1024
	amxKC    = 768
	amxBytes = 1 << 20
)

// canTile reports whether the product may go through tiles: where packing pays.
// Float32 at its highest precision, six products for one, gains least: 1.5 to 1.9
// times for large shapes, nothing from 128³ down.
func (p *product) canTile() bool {
	switch {
	case !useAMX || p.m <= thinM || p.n < 16 || p.k < 32 || p.acs != 1 && p.ars != 1:
		return false
	case p.form <= formCols && p.prec == Highest:
		return p.m >= 64 && p.n >= 96 && p.m*p.n*p.k >= 1<<21
	}
	return p.m*p.n*p.k >= 1<<18
}

// tileFLOPS is what to expect of the tiles, for splitting work, per nanosecond.
func (p *product) tileFLOPS() float64 { return 1000 / float64(amxKinds[p.amxKind()].products) }

// amxPacked is memory for packed operands, as floats, aligned to a cache line.
func amxPacked(buf []float32, bytes int) []uint16 {
	p := unsafe.Pointer(&buf[0])
	off := -uintptr(p) & 63
	return unsafe.Slice((*uint16)(unsafe.Add(p, off)), bytes/2)
}

const amxStep = 2048 / 2 // numbers in a step of one term

// A tilePlan is how a product goes through tiles.
type tilePlan struct {
	kind   int // index of amxKinds
	ta, tb int // terms
	kc     int // block of k
	steps  int // of all of k
}

func (p *product) tilePlan() tilePlan {
	t := tilePlan{kind: p.amxKind(), steps: (p.k + 31) / 32}
	t.ta, t.tb = amxKinds[t.kind].a, amxKinds[t.kind].b
	unit := 32
	if p.form >= formQuant {
		unit = max(unit, quants[p.quant].block)
	}
	most := amxKC * 2 / (t.ta + 1)
	blocks := (p.k + most - 1) / most // of one size
	t.kc = ((p.k+blocks-1)/blocks + unit - 1) / unit * unit
	return t
}

// numbersA is the size of rows packed, of all of k.
func (t *tilePlan) numbersA(rows int) int { return (rows + 31) / 32 * t.steps * amxStep * t.ta }

// tileGrain is grain for tiles: the packed A of up to amxMC rows serves all columns.
func (p *product) tileGrain() (rows, cols int, byRow bool) { return amxMC / 2, 32, p.m > amxMC }

// packShared packs all of A, for pieces of columns to share.
func (p *product) packShared(workers int) *scratch {
	t := p.tilePlan()
	s := pool.Get().(*scratch)
	n := t.numbersA(p.m)
	packed := amxPacked(s.bufA(n/2+16), 2*n)
	hw.Parallel(workers, (p.m+31)/32, func(i int) { t.packA(p, packed, 0, p.m, 32*i, min(32*i+32, p.m)) })
	p.shared = packed
	return s
}

// packA packs rows lo to hi (lo a multiple of 32) of mb rows of A from row ic on.
func (t *tilePlan) packA(p *product, dst []uint16, ic, mb, lo, hi int) {
	panels := (mb + 31) / 32
	for pc := 0; pc < p.k; pc += t.kc {
		kb := min(t.kc, p.k-pc)
		n := (kb + 31) / 32
		for i := lo; i < hi; i += 16 {
			d := dst[((pc/32)*panels+i/32*n)*amxStep*t.ta+i%32*32:]
			p.packRowsA(d, ic+i, min(16, hi-i), pc, kb, n, t.ta)
		}
	}
}

// tiles computes its part of C. An infinite number is no sum of finite terms: it makes
// NaN of all that it meets. Where there is a NaN, float32 arithmetic decides
// what should be there, at the highest precision and unless C was added to.
func (p *product) tiles(i0, i1, j0, j1 int) {
	t := p.tilePlan()
	kind, ta, tb, kc := t.kind, t.ta, t.tb, t.kc
	nb := min((j1-j0+31)/32*32, max(32, amxBytes/(64*tb*t.steps)/32*32), 512)

	s := pool.Get().(*scratch)
	defer pool.Put(s)
	a := p.shared
	if a == nil {
		n := t.numbersA(min(amxMC, i1-i0))
		a = amxPacked(s.bufA(n/2+16), 2*n)
	}
	sizeB := nb / 32 * (kc / 32) * 2048 * tb
	rest := 32*nb + 16*kc + pad // floats: sums of an edge, widened rows
	buf := s.bufB((sizeB+64)/4 + rest)
	b := amxPacked(buf, sizeB)
	buf = buf[len(buf)-rest:]
	sums, wide := buf[:32*nb], buf[32*nb:]

	for ic := i0; ic < i1; ic += amxMC {
		mb := min(amxMC, i1-ic)
		rows32 := (mb + 31) / 32
		if p.shared == nil {
			t.packA(p, a, ic, mb, 0, mb)
		}
		for j := j0; j < j1; j += nb {
			cols := min(nb, j1-j)
			for pc := 0; pc < p.k; pc += kc {
				kb := min(kc, p.k-pc)
				n := (kb + 31) / 32
				for c := 0; c < cols; c += 16 {
					p.packColumnsB(b[c/32*n*amxStep*tb+c%32*32:], wide, j+c, min(16, cols-c), pc, kb, n, tb)
				}
				load := flag(p.acc || pc > 0)
				for i := 0; i < mb; i += 32 {
					a := &a[((pc/32)*rows32+i/32*n)*amxStep*ta]
					whole := cols / 32
					if mb-i < 32 {
						whole = 0
					}
					if whole > 0 {
						amxTiles(&amxConfig, kind, a, &b[0], n, whole, &p.c[(ic+i)*p.ldc+j], 4*p.ldc, load)
					}
					if 32*whole == cols {
						continue
					}
					// The edge goes through sums: rows or columns of C are missing.
					rows, at0, width := min(32, mb-i), 32*whole, (cols-32*whole+31)/32*32
					c := p.c[(ic+i)*p.ldc+j+at0:]
					for r := range rows {
						if load != 0 {
							copy(sums[r*width:], c[r*p.ldc:][:cols-at0])
						}
					}
					amxTiles(&amxConfig, kind, a, &b[whole*n*amxStep*tb], n, width/32, &sums[0], 4*width, load)
					for r := range rows {
						copy(c[r*p.ldc:][:cols-at0], sums[r*width:])
					}
				}
			}
			if !p.acc && p.prec == Highest && amxNaN(&p.c[ic*p.ldc+j], 4*p.ldc, mb, cols) {
				p.mendNaN(ic, ic+mb, j, j+cols)
			}
			p.finish(ic, ic+mb, j, j+cols)
		}
	}
}

// mendNaN sets each NaN among the products to what blocks makes of it.
func (p *product) mendNaN(i0, i1, j0, j1 int) {
	q := *p
	q.after, q.ldc = After{}, j1
	q.c = make([]float32, i1*q.ldc)
	q.blocks(i0, i1, j0, j1)
	for i := i0; i < i1; i++ {
		got, want := p.c[i*p.ldc:], q.c[i*q.ldc:]
		for j := j0; j < j1; j++ {
			if got[j] != got[j] {
				got[j] = want[j]
			}
		}
	}
}

// packRowsA packs rows (1…16) rows of A from row i, terms pc to pc+kb, in n steps.
func (p *product) packRowsA(dst []uint16, i, rows, pc, kb, n, terms int) {
	src := p.a[i*p.ars+pc*p.acs:]
	if p.acs == 1 {
		amxRows(&dst[0], &src[0], 4*p.ars, rows, n, kb-32*(n-1), terms)
		return
	}
	amxPairs(&dst[0], &src[0], 4*p.acs, kb, n, rows, terms)
	transTiles(dst, n, terms)
}

// packColumnsB packs cols (1…16) columns of B from column j; wide has room for 16 rows of kb floats.
func (p *product) packColumnsB(dst []uint16, wide []float32, j, cols, pc, kb, n, terms int) {
	tail := kb - 32*(n-1)
	switch p.form {
	case formRows:
		amxPairs(&dst[0], &p.b[pc*p.ldb+j], 4*p.ldb, kb, n, cols, terms)
		return
	case formCols:
		amxRows(&dst[0], &p.b[j*p.ldb+pc], 4*p.ldb, cols, n, tail, terms)
	case formPanels:
		if p.row%panelRows == 0 {
			p.widenPanel(wide, j, pc, kb)
			amxPairs(&dst[0], &wide[0], 4*panelRows, kb, n, cols, terms)
			return
		}
		p.widenRows(wide, j, cols, pc, kb)
		amxRows(&dst[0], &wide[0], 4*kb, cols, n, tail, terms)
	case formBF16:
		if cols == 16 && terms == 1 {
			amxTrans(&dst[0], &p.h[j*p.ldb+pc], 2*p.ldb, 64, 2048, n, tail)
			return
		}
		fallthrough
	default:
		p.widenRows(wide, j, cols, pc, kb)
		amxRows(&dst[0], &wide[0], 4*kb, cols, n, tail, terms)
	}
	transTiles(dst, n, terms)
}

// transTiles makes rows of numbers into rows of pairs, or back, in place.
func transTiles(dst []uint16, n, terms int) {
	for t := range terms {
		d := &dst[t*amxStep]
		amxTrans(d, d, 64, 2048*terms, 2048*terms, n, 32)
	}
}

// widenRows writes the terms pc to pc+kb of cols columns of B, which lie along rows, to dst.
func (p *product) widenRows(dst []float32, j, cols, pc, kb int) {
	for c := range cols {
		row := dst[c*kb:][:kb]
		if p.form >= formQuant {
			p.widenBlocks(row, j+c, pc)
			continue
		}
		for i, h := range p.h[(j+c)*p.ldb+pc:][:kb] {
			row[i] = widen(p.form, h)
		}
	}
}

// peakTiles multiplies what stays in the first-level cache and returns the operations; 0 without tiles.
func peakTiles() float64 {
	const steps, panels, rounds = 4, 2, 10
	if !useAMX {
		return 0
	}
	kind := 2 // three products: few loads for each
	ta, products := amxKinds[kind].a, amxKinds[kind].products
	s := pool.Get().(*scratch)
	defer pool.Put(s)
	sizeA, sizeB := steps*2048*ta, panels*steps*2048
	buf := s.bufA((sizeA+sizeB+64)/4 + 32*32*panels)
	clear(buf)
	a := amxPacked(buf, sizeA+sizeB)
	for range rounds {
		amxTiles(&amxConfig, kind, &a[0], &a[sizeA/2], steps, panels, &buf[len(buf)-32*32*panels], 4*32*panels, 0)
	}
	return float64(rounds*products*steps*panels) * 4 * 16 * 16 * 32 * 2
}
