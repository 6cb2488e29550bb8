// Package gemm multiplies float32 matrices: whole products, batches of them,
// thin ones (matrix times a few vectors), and products with a matrix that is
// held in 16 bits or in blocks of fewer.
//
// One macro-kernel serves all of them. A is cut into blocks of mc rows and kc
// columns that stay in the second-level cache; against each, B passes in panels
// of nr columns that stay in the first-level one; the micro-kernel multiplies mr
// rows of the block by one panel and keeps the tile of C in registers. That is the
// scheme of Goto and van de Geijn ("Anatomy of High-Performance Matrix
// Multiplication", 2008) as BLIS arranges it (flame/blis, docs/KernelsHowTo.md),
// with one level less: a panel of B is packed right before its only use, so there
// is no third-level buffer to share or to wait for. Constant matrices are packed each
// time too: for 512 rows that takes 5 % of the time, and a packed copy as much memory again.
//
// Where the processor multiplies tiles of bfloat16, large products take numbers as sums of
// two or three of them (amx_amd64.go); Precision says of how many.
//
// Weights in blocks of few bits are multiplied from panels of sixteen rows, as integers,
// where the processor has instructions for it (panel.go).
//
// Every element of C is, for any position, tile or number of workers, the same
// expression: within each block of kc terms a sum in the order
// of k that starts at zero, the blocks added to C in order. Thin products
// take a path of dot products instead, or of sums of B's rows, whose order depends on k alone, and tiles have an
// order of theirs; which path is taken depends on the shape alone.
package gemm

import (
	"sync"
	"unsafe"

	"github.com/subquad/subquad/hw"
)

// A blocking is the shape of the blocks at one level.
type blocking struct {
	mr, nr int     // the micro-kernel's tile of C
	mc, kc int     // the block of A
	wide   int     // columns of one pass over an unpacked B for few rows
	flops  float64 // flop per nanosecond to expect, for splitting work
}

// kc*nr floats of B and two tiles of A fit 48 KB of first-level cache; mc*kc of A half a
// second-level cache of 1 MB.
var (
	blockAVX512   = blocking{mr: 12, nr: 32, mc: 516, kc: 256, wide: 128, flops: 150}
	blockAVX2     = blocking{mr: 6, nr: 16, mc: 384, kc: 256, wide: 32, flops: 80}
	blockNEON     = blocking{mr: 8, nr: 12, mc: 256, kc: maxKC, wide: 12, flops: 30}
	blockPortable = blocking{mr: 4, nr: 16, mc: 128, kc: 256, wide: 64, flops: 3}
)

// maxKC bounds kc where a kernel keeps a few columns of a panel on its stack.
const maxKC = 256

var (
	useAVX512, useAVX2, useNEON bool
	blk                         blocking
)

func init() {
	hw.OnLevel(func(l hw.Level) {
		useAVX512, useAVX2, useNEON = l.Has(hw.AVX512), l.Has(hw.AVX2), l.Has(hw.NEON)
		switch {
		case useAVX512:
			blk = blockAVX512
		case useAVX2:
			blk = blockAVX2
		case useNEON:
			blk = blockNEON
		default:
			blk = blockPortable
		}
	})
}

// How the elements of B are stored.
type form uint8

const (
	formRows   form = iota // float32, k×n
	formCols               // float32, n×k
	formBF16               // bfloat16, n×k
	formF16                // float16, n×k
	formQuant              // blocks of a few bits, n×k
	formPanels             // the same in panels
)

// A product is C (+)= A·B in terms of strides.
type product struct {
	m, n, k  int
	a        []float32
	ars, acs int // elements between rows and between columns of A
	b        []float32
	h        []uint16 // B in 16 bits
	q        []byte   // B in blocks or panels; ldb is then in bytes
	row      int      // the row of the panels that B begins with
	quant    Quant
	ldb      int
	form     form
	c        []float32
	ldc      int
	acc      bool
	prec     Precision
	after    After
	shared   []uint16  // all of A packed for tiles, where several pieces need it
	packed   []float32 // the same as packBlocks has it
	digits   []byte    // all of A as digits, for panels
	float    bool      // … which it could not be made
}

// Mul computes C = A·B, or C += A·B with acc. C is m×n, A is m×k (stored k×m with
// transA), B is k×n (stored n×k with transB, the layout of a Linear weight
// [out, in]); all are row-major with the given distances between rows. C must
// not overlap A or B. workers <= 0 means GOMAXPROCS; the result has the same bits
// for any number. It panics when a slice is too short for its shape.
func Mul(workers int, acc, transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
	How{}.Mul(workers, acc, transA, transB, m, n, k, a, lda, b, ldb, c, ldc)
}

// Mul is the function Mul in this way.
func (h How) Mul(workers int, acc, transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
	check(transA, transB, m, n, k, len(a), lda, len(b), ldb, len(c), ldc)
	p := product{m: m, n: n, k: k, a: a, ars: lda, acs: 1, b: b, ldb: ldb, c: c, ldc: ldc, acc: acc, prec: h.Precision, after: h.After}
	if transA {
		p.ars, p.acs = 1, lda
	}
	if transB {
		p.form = formCols
	}
	p.run(workers)
}

// MulBatch computes count products of one shape as Mul does; product i uses
// a[i*strideA:], b[i*strideB:] and c[i*strideC:]. A stride of zero for A or B
// uses one matrix for all.
func MulBatch(workers, count int, acc, transA, transB bool, m, n, k int, a []float32, lda, strideA int, b []float32, ldb, strideB int, c []float32, ldc, strideC int) {
	How{}.MulBatch(workers, count, acc, transA, transB, m, n, k, a, lda, strideA, b, ldb, strideB, c, ldc, strideC)
}

// MulBatch is the function MulBatch in this way.
func (h How) MulBatch(workers, count int, acc, transA, transB bool, m, n, k int, a []float32, lda, strideA int, b []float32, ldb, strideB int, c []float32, ldc, strideC int) {
	if count <= 0 {
		return
	}
	if strideA < 0 || strideB < 0 || strideC < 0 {
		panic("gemm: negative stride of a batch")
	}
	if h.After.any() {
		panic("gemm: a batch has nothing after its products")
	}
	last := count - 1
	check(transA, transB, m, n, k, len(a)-last*strideA, lda, len(b)-last*strideB, ldb, len(c)-last*strideC, ldc)
	p := product{m: m, n: n, k: k, a: a, ars: lda, acs: 1, b: b, ldb: ldb, c: c, ldc: ldc, acc: acc, prec: h.Precision, after: h.After}
	if transA {
		p.ars, p.acs = 1, lda
	}
	if transB {
		p.form = formCols
	}
	if count == 1 {
		p.run(workers)
		return
	}
	pieces, byRow := p.split(workers, count)
	tasks := 1
	if workers != 1 {
		tasks = hw.Tasks(workers, count*pieces, p.ns()/float64(pieces))
	}
	if tasks == 1 {
		for i := range count {
			p.at(i, strideA, strideB, strideC, a, b, c)
			p.part(0, m, 0, n)
		}
		return
	}
	q := p
	hw.Parallel(workers, tasks, func(t int) {
		q := q
		lo, hi := hw.Range(t, tasks, count*pieces)
		for i := lo; i < hi; i++ {
			q.at(i/pieces, strideA, strideB, strideC, a, b, c)
			q.piece(i%pieces, pieces, byRow)
		}
	})
}

func (p *product) at(i, strideA, strideB, strideC int, a, b, c []float32) {
	if p.k > 0 {
		p.a, p.b = a[i*strideA:], b[i*strideB:]
	}
	if p.m > 0 && p.n > 0 {
		p.c = c[i*strideC:]
	}
}

func check(transA, transB bool, m, n, k, lenA, lda, lenB, ldb, lenC, ldc int) {
	if m < 0 || n < 0 || k < 0 {
		panic("gemm: negative size")
	}
	ar, ac := m, k
	if transA {
		ar, ac = k, m
	}
	br, bc := k, n
	if transB {
		br, bc = n, k
	}
	if m == 0 || n == 0 {
		return
	}
	if ldc < n || lenC < (m-1)*ldc+n {
		panic("gemm: c is shorter than its shape")
	}
	if k == 0 {
		return
	}
	if lda < ac || lenA < (ar-1)*lda+ac {
		panic("gemm: a is shorter than its shape")
	}
	if ldb < bc || lenB < (br-1)*ldb+bc {
		panic("gemm: b is shorter than its shape")
	}
}

// ns estimates the time of the product on one core.
func (p *product) ns() float64 {
	flops := blk.flops
	if p.path() == pathTiles {
		flops = p.tileFLOPS()
	}
	ns := 2 * float64(p.m) * float64(p.n) * float64(max(p.k, 1)) / flops
	return max(ns, float64(p.bytes())/readRate) // few rows wait for B
}

// readRate is how fast one core reads, in bytes a nanosecond.
const readRate = 15

// bytes is the size of B.
func (p *product) bytes() int {
	switch p.form {
	case formBF16, formF16:
		return 2 * p.n * p.k
	case formQuant, formPanels:
		return p.n * p.ldb
	}
	return 4 * p.n * p.k
}

// split says into how many pieces to cut C for workers, of which count products share
// the work, and whether by rows.
func (p *product) split(workers, count int) (pieces int, byRow bool) {
	if workers == 1 {
		return 1, false
	}
	rows, cols, byRow := p.grain()
	units := (p.n + cols - 1) / cols
	if byRow {
		units = (p.m + rows - 1) / rows
	}
	pieces = hw.Tasks(workers, units, p.ns()/float64(units))
	if count > 1 {
		pieces = max(1, pieces/count)
	}
	return pieces, byRow
}

// grain is what C is cut into, and whether by rows. Cutting rows packs all of B in
// every piece, cutting columns all of A.
func (p *product) grain() (rows, cols int, byRow bool) {
	switch p.path() {
	case pathTiles:
		return p.tileGrain()
	case pathPanels:
		return panelMany, panelRows, p.m >= p.n
	}
	return blk.mr, blk.nr, p.m >= p.n
}

func (p *product) piece(t, pieces int, byRow bool) {
	rows, cols, _ := p.grain()
	if byRow {
		lo, hi := hw.Range(t, pieces, (p.m+rows-1)/rows)
		p.part(lo*rows, min(hi*rows, p.m), 0, p.n)
		return
	}
	lo, hi := hw.Range(t, pieces, (p.n+cols-1)/cols)
	p.part(0, p.m, lo*cols, min(hi*cols, p.n))
}

func (p *product) run(workers int) {
	p.after.check(p.m, p.n)
	if p.m == 0 || p.n == 0 {
		return
	}
	if p.path() == pathPanels {
		s, ok := p.prepareDigits(workers)
		defer pool.Put(s)
		p.float = !ok
	}
	if p.path() == pathRow {
		p.oneRow(workers, 0, p.n)
		p.finish(0, 1, 0, p.n)
		return
	}
	pieces, byRow := p.split(workers, 1)
	if pieces == 1 {
		p.part(0, p.m, 0, p.n)
		return
	}
	q := *p
	switch path := q.path(); {
	case byRow:
	case path == pathTiles:
		s := q.packShared(workers)
		defer pool.Put(s)
	case path == pathBlocks && q.packsA():
		s := q.packBlocks(workers)
		defer pool.Put(s)
	}
	hw.Parallel(workers, pieces, func(t int) { q.piece(t, pieces, byRow) })
}

// part computes rows i0…i1 and columns j0…j1 of C.
func (p *product) part(i0, i1, j0, j1 int) {
	if i0 >= i1 || j0 >= j1 {
		return
	}
	path := p.path()
	switch {
	case p.k == 0:
		if !p.acc {
			for i := i0; i < i1; i++ {
				clear(p.c[i*p.ldc+j0 : i*p.ldc+j1])
			}
		}
	case path == pathDotB && p.form == formQuant:
		p.dotQuant(i0, i1, j0, j1)
	case path == pathDotB:
		p.dotB(i0, i1, j0, j1)
	case path == pathDotA:
		p.dotA(i0, i1, j0, j1)
	case path == pathRow:
		p.oneRow(1, j0, j1)
	case path == pathPanels:
		p.panelDots(i0, i1, j0, j1)
	case path == pathTiles:
		p.tiles(i0, i1, j0, j1)
		return // these two do what comes after, block by block
	default:
		p.blocks(i0, i1, j0, j1)
		return
	}
	p.finish(i0, i1, j0, j1)
}

type path uint8

const (
	pathBlocks path = iota
	pathDotB        // few rows against the rows of a transposed B
	pathDotA        // few columns: the rows of A against them
	pathRow         // one row against a B that is not transposed
	pathTiles       // the processor's tile instructions
	pathPanels      // sums of integers
)

// Thin products go by dot products: a sum across a vector at the end of every
// element against packing B, which is worth it for few rows and many terms. The crossing was
// measured on Zen 5 for n = 768: 30, 48, 72, 110 and 130 terms for 2, 4, 8, 12 and 16 rows.
const (
	thinM    = 16
	thinN    = 4
	thinK    = 16
	thinRate = 8 // more terms for every row beyond the first
)

func (p *product) path() path {
	switch {
	case p.form == formPanels && usePanels && p.k > 0 && p.row%panelRows == 0 && !p.float && !p.canTile():
		return pathPanels
	case p.m <= thinM && p.form != formRows && p.form != formPanels && p.k >= thinK+thinRate*(p.m-1):
		return pathDotB
	case p.n <= thinN && p.acs == 1 && p.form <= formCols && p.k >= thinK+thinRate*(p.n-1) && p.m > p.n:
		return pathDotA
	case p.isRow():
		return pathRow
	case p.canTile():
		return pathTiles
	}
	return pathBlocks
}

// A scratch holds the packed block of A and the packed panel of B of one worker.
type scratch struct{ a, b []float32 }

var pool = sync.Pool{New: func() any { return new(scratch) }}

func (s *scratch) bufA(n int) []float32 {
	if cap(s.a) < n {
		s.a = make([]float32, n)
	}
	return s.a[:n]
}

func (s *scratch) bufB(n int) []float32 {
	if cap(s.b) < n {
		s.b = make([]float32, n)
	}
	return s.b[:n]
}

func (s *scratch) bytes(n int) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s.bufB(n/4+1)))), n)
}

// pad is what a transposing pack may write behind its last row.
const pad = 32

// blocks is the macro-kernel.
func (p *product) blocks(i0, i1, j0, j1 int) {
	mr, nr, kc := blk.mr, blk.nr, blk.kc
	mc := blockRows(i1 - i0)
	packA := p.packsA()
	packB := p.form != formRows || p.m > 4*mr
	step := nr
	if p.form == formRows && !packB && p.m <= mr {
		step = wideStep(p.m)
	}
	var s *scratch
	var bufA, bufB []float32
	if packA || packB {
		s = pool.Get().(*scratch)
		if packA && p.packed == nil {
			bufA = s.bufA((min(mc, i1-i0) + mr - 1) / mr * (mr*min(kc, p.k) + pad))
		}
		if packB {
			bufB = s.bufB(nr*min(kc, p.k) + pad)
		}
	}
	for ic := i0; ic < i1; ic += mc {
		mb := min(mc, i1-ic)
		th := tileRows(mb)
		for pc := 0; pc < p.k; pc += kc {
			kb := min(kc, p.k-pc)
			acc := p.acc || pc > 0
			switch {
			case packA && p.packed != nil:
				bufA = p.packed[p.packedAt(ic, pc):]
			case packA:
				for i := 0; i < mb; i += th {
					p.packA(bufA[i/th*(th*kb+pad):], ic+i, min(th, mb-i), th, pc, kb)
				}
			}
			done := j0 // columns that are finished
			for j := j0; j < j1; j += step {
				cols := min(step, j1-j)
				var b []float32
				ldb := nr
				switch {
				case packB:
					b = bufB
					p.packB(b, j, cols, pc, kb)
				default:
					b, ldb = p.b[pc*p.ldb+j:], p.ldb
				}
				for i := 0; i < mb; i += th {
					rows := min(th, mb-i)
					c := p.c[(ic+i)*p.ldc+j:]
					if packA {
						micro(rows, cols, kb, bufA[i/th*(th*kb+pad):], 1, th, b, ldb, c, p.ldc, acc)
					} else {
						micro(rows, cols, kb, p.a[(ic+i)*p.ars+pc*p.acs:], p.ars, p.acs, b, ldb, c, p.ldc, acc)
					}
				}
				if end := j + cols; pc+kb == p.k && (end-done >= finishColumns || end == j1) {
					p.finish(ic, ic+mb, done, end)
					done = end
				}
			}
		}
	}
	if s != nil {
		pool.Put(s)
	}
}

// packsA reports whether blocks of A are packed: B has enough columns to make up for it.
func (p *product) packsA() bool { return p.n > 4*blk.nr }

// blockRows is how many of so many rows of A are in a block: all are of one size, since B is packed for each.
func blockRows(rows int) int {
	blocks := (rows + blk.mc - 1) / blk.mc
	return ((rows+blocks-1)/blocks + blk.mr - 1) / blk.mr * blk.mr
}

// tileRows is how many of a block's rows are in a tile: a few tiles share them evenly, for a
// last one of a row or two is slow.
func tileRows(rows int) int {
	if rows >= 8*blk.mr {
		return blk.mr
	}
	tiles := (rows + blk.mr - 1) / blk.mr
	return (rows + tiles - 1) / tiles
}

// packBlocks packs all of A, for pieces of columns to share.
func (p *product) packBlocks(workers int) *scratch {
	mc, first := blockRows(p.m), min(blockRows(p.m), p.m)
	blocks, each := (p.m+mc-1)/mc, (first+tileRows(first)-1)/tileRows(first) // and tiles of a block
	tiles := blocks * each
	s := pool.Get().(*scratch)
	p.packed = s.bufA(p.packedAt(blocks*mc, 0))
	tasks := hw.Tasks(workers, tiles, float64(blk.mr*p.k)/2)
	hw.Parallel(workers, tasks, func(t int) {
		lo, hi := hw.Range(t, tasks, tiles)
		for ; lo < hi; lo++ {
			ic := lo / each * mc
			mb := min(mc, p.m-ic)
			th := tileRows(mb)
			i := lo % each * th
			for pc := 0; pc < p.k && i < mb; pc += blk.kc {
				kb := min(blk.kc, p.k-pc)
				p.packA(p.packed[p.packedAt(ic, pc)+i/th*(th*kb+pad):], ic+i, min(th, mb-i), th, pc, kb)
			}
		}
	})
	return s
}

// packedAt is where packBlocks has the block of A at row ic and term pc.
func (p *product) packedAt(ic, pc int) int {
	mc := blockRows(p.m)
	size := func(rows, pc int) int { // of a block's terms before pc
		th := tileRows(rows)
		return (rows + th - 1) / th * (th*pc + (pc+blk.kc-1)/blk.kc*pad)
	}
	at := ic / mc * size(min(mc, p.m), p.k)
	if ic < p.m {
		at += size(min(mc, p.m-ic), pc)
	}
	return at
}

// packA copies a tile of A, rows i…i+rows and terms pc…pc+kb, to kb×th. Rows missing from it are garbage.
func (p *product) packA(dst []float32, i, rows, th, pc, kb int) {
	src := p.a[i*p.ars+pc*p.acs:]
	if p.acs == 1 {
		transpose(rows, kb, src, p.ars, dst, th)
	} else {
		copyRows(kb, rows, src, p.acs, dst, th)
	}
}

// packB copies terms pc…pc+kb of columns j…j+cols of B to a panel kb×nr.
// Columns missing from it are garbage.
func (p *product) packB(dst []float32, j, cols, pc, kb int) {
	nr := blk.nr
	switch p.form {
	case formRows:
		copyRows(kb, cols, p.b[pc*p.ldb+j:], p.ldb, dst, nr)
	case formCols:
		transpose(cols, kb, p.b[j*p.ldb+pc:], p.ldb, dst, nr)
	case formQuant, formPanels:
		p.packQuant(dst, j, cols, pc, kb)
	default:
		transposeHalf(p.form, cols, kb, p.h[j*p.ldb+pc:], p.ldb, dst, nr)
	}
}
