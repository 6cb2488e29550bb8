package fft

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	dft "github.com/subquad/subquad/internal/kernel/fft"
)

// NewSparseKernel is NewKernel for a filter of which only some frequencies are
// kept, as in FlashFFTConv's frequency-sparse convolutions (2311.05908). The
// transform has n points, the power of two from taps+length−1 on, and n/2 bins,
// of frequencies (bin+½)/n cycles a sample; those that keep refuses count as
// zero. What is left of the filter is no longer causal, so the result depends
// on n: with x the past, u and zeros, together n points, it is what u's points
// become in x·k modulo z^n + 1 without those frequencies. A call takes at most
// length inputs; with all bins kept it does what NewKernel's does.
//
// What is skipped: a first step splits the transform into parts by the bin's
// number modulo 4, another by that modulo 16 or 32, and so on; a part without a
// kept bin is neither computed nor multiplied nor joined again, down to parts
// of about 16 bins. Low frequencies lie in all of those; but where at most
// one of each R bins that lie n/2R apart is kept, R = 4, 8, … 64, as below a
// cut-off of 1/R of the band, one sum over R points takes the place of the
// transform's last log R levels, and the multiplication is R times shorter.
//
// Parts of the time that the dense product takes, for 64 channels and taps and
// length of 4k, 16k and 64k (BenchmarkSparseKernel, one core of Zen 5):
//
//	kept                   4k     16k    64k
//	lowest half            1.00   1.00   1.00
//	lowest quarter         0.89   0.96   0.94
//	lowest eighth          0.80   0.87   0.87
//	lowest 32nd            0.71   0.76   0.79
//	each 4th bin           0.73   0.76   0.82
//	each 64th bin          0.50   0.48   0.63
func NewSparseKernel(k []float32, taps, channels, length int, keep func(bin, bins int) bool) (*Kernel, error) {
	if length < 1 {
		return nil, fmt.Errorf("fft: sparse kernel for length %d: want at least 1", length)
	}
	if keep == nil {
		return nil, fmt.Errorf("fft: sparse kernel without a function that says which bins are kept")
	}
	if err := checkKernel(k, taps, channels, length); err != nil {
		return nil, err
	}
	f := &Kernel{taps: taps, channels: channels, k: k, longest: length}
	n := max(8, ceilPow2(taps+length-1))
	f.sparse = newPruned(n/2, keep)
	f.prepare(0, n)
	return f, nil
}

// pruned takes polynomials modulo z^m − i to some of their m values. Rows Ra+b
// are the a-th coefficients of R polynomials in z^R, side by side, which a
// splitter of m/R points takes to their values; of R values that these make at
// one z^R, one is wanted: fold sums it.
type pruned struct {
	s      *splitter
	levels []prunedLevel
	whole  bool // the splitter's values are all wanted
	r      int  // R
	fold   []float32
	runs   [][2]int // of wanted values, from and to, rounded to whole parts
	zeros  [][2]int // of those within the runs that are refused
}

type prunedLevel struct {
	wanted []uint8 // for each block, its streams that lead to wanted values
	at     []int32 // for blocks with few: where in rows
	// rows has, for each of a block's wanted streams, the coefficients of the
	// block's streams; then, for each stream of the block, those of the wanted ones.
	rows []float32
}

const (
	leastPart = 16   // rows: skipping less costs more than it saves
	mostFold  = 64   // R
	columns   = 1024 // floats of a stream worked on at a time
)

// few says that the wanted streams of a block are computed one by one.
func few(wanted uint8, radix int) bool {
	n := bits.OnesCount8(wanted)
	return n == 1 || n == 2 && radix == 8
}

// binOf is the bin of the value at a turn, of m.
func binOf(turn float64, m int) int {
	o := int(math.Round((turn - math.Floor(turn)) * float64(4*m))) // odd
	return (min(o, 4*m-o) - 1) / 2
}

// groups finds, for each value i of a splitter modulo w^(m/r) − i, w = z^r,
// which of its r values in z is kept, −1 for none; ok is false when there are more.
func groups(s *splitter, m, r int, keep func(bin, bins int) bool) (which []int, ok bool) {
	which = make([]int, m/r)
	for i, t := range s.turns {
		which[i] = -1
		for c := range r {
			if keep(binOf((t+float64(c))/float64(r), m), m) {
				if which[i] >= 0 {
					return nil, false
				}
				which[i] = c
			}
		}
	}
	return which, true
}

func newPruned(m int, keep func(bin, bins int) bool) *pruned {
	s, _ := newSplitter(m, -0.25)
	p := &pruned{r: 1}
	which, _ := groups(s, m, 1, keep)
	for r := 2; r <= min(mostFold, m); r *= 2 {
		shorter, _ := newSplitter(m/r, -0.25)
		w, ok := groups(shorter, m, r, keep)
		if !ok {
			break
		}
		if r > 2 { // two points are summed no sooner than split
			s, which, p.r = shorter, w, r
		}
	}
	p.s = ring(m / p.r)
	if p.r > 1 {
		for i, t := range s.turns {
			for b := range p.r {
				re, im := unit((t + float64(max(0, which[i]))) / float64(p.r) * float64(b))
				p.fold = append(p.fold, re, im)
			}
		}
	}
	below := make([]bool, len(which))
	for i, w := range which {
		below[i] = w >= 0
	}
	part := 1
	for _, lv := range s.levels {
		if lv.m*p.r < leastPart {
			part = lv.m * lv.radix
			break
		}
	}
	for i := 0; i < len(below); i += part {
		if slices.Contains(below[i:i+part], true) {
			p.runs = extend(p.runs, i, i+part)
			for j := i; j < i+part; j++ {
				if !below[j] {
					p.zeros = extend(p.zeros, j, j+1)
				}
				below[j] = true
			}
		}
	}
	p.whole = len(p.runs) == 1 && p.runs[0] == [2]int{0, len(below)}
	if !p.whole {
		p.tree(s, below)
	}
	return p
}

// extend adds from…to to runs.
func extend(runs [][2]int, from, to int) [][2]int {
	if n := len(runs); n > 0 && runs[n-1][1] == from {
		runs[n-1][1] = to
		return runs
	}
	return append(runs, [2]int{from, to})
}

// tree goes from the wanted values up the levels of s. A stream's turn is that
// of a value below it times its rows.
func (p *pruned) tree(s *splitter, below []bool) {
	p.levels = make([]prunedLevel, len(s.levels))
	for i := len(s.levels) - 1; i >= 0; i-- {
		lv, l := &s.levels[i], &p.levels[i]
		blocks := len(below) / lv.radix
		above := make([]bool, blocks)
		l.wanted, l.at = make([]uint8, blocks), make([]int32, blocks)
		for b := range blocks {
			var turns []float64 // of the wanted streams
			for c := range lv.radix {
				if below[b*lv.radix+c] {
					l.wanted[b] |= 1 << c
					above[b] = true
					turns = append(turns, s.turns[(b*lv.radix+c)*lv.m]*float64(lv.m))
				}
			}
			if !few(l.wanted[b], lv.radix) {
				continue
			}
			l.at[b] = int32(len(l.rows))
			for _, t := range turns {
				for j := range lv.radix {
					re, im := unit(t * float64(j))
					l.rows = append(l.rows, re, im)
				}
			}
			for j := range lv.radix {
				for _, t := range turns {
					re, im := unit(t * float64(j))
					l.rows = append(l.rows, re, -im)
				}
			}
		}
		below = above
	}
}

// forward takes x to its wanted values, in v if R > 1; others are anything.
func (p *pruned) forward(x, v planes, lanes int) planes {
	if p.whole {
		p.s.forward(x, x, lanes*p.r)
	} else if len(p.runs) > 0 {
		buf := takeScratch(2 * padded(2*columns))
		p.descend(0, 0, 1, x, buf.pair(0, 2*columns), lanes*p.r)
		buf.put()
	}
	if p.r == 1 {
		return x
	}
	for _, r := range p.runs {
		o, i := r[0]*lanes, r[0]*p.r
		dft.Fold(r[1]-r[0], p.r, lanes, v.re[o:], v.im[o:], x.re[i*lanes:], x.im[i*lanes:], p.fold[2*i:])
	}
	return v
}

func (p *pruned) descend(i, block, blocks int, x, tmp planes, lanes int) {
	if i == len(p.levels) {
		return
	}
	lv := &p.s.levels[i]
	w := lv.m * lanes
	size := lv.radix * w
	if size*8 > l1Bytes {
		for b := range blocks {
			if p.levels[i].wanted[block+b] != 0 {
				p.split(i, block+b, 1, w, x.at(b*size), tmp)
				p.descend(i+1, (block+b)*lv.radix, lv.radix, x.at(b*size), tmp, lanes)
			}
		}
		return
	}
	group := l1Bytes / (8 * size)
	for b := 0; b < blocks; b += group {
		g := min(group, blocks-b)
		first, part := block+b, x.at(b*size)
		for j := i; j < len(p.levels); j++ {
			lv := &p.s.levels[j]
			p.split(j, first, g, lv.m*lanes, part, tmp)
			first, g = first*lv.radix, g*lv.radix
		}
	}
}

// whole counts blocks from block on, at most n, that are computed whole.
func (l *prunedLevel) whole(block, n, radix int) int {
	for i, w := range l.wanted[block : block+n] {
		if w == 0 || few(w, radix) {
			return i
		}
	}
	return n
}

// split is one level of n neighbouring blocks.
func (p *pruned) split(i, block, n, w int, x, tmp planes) {
	lv, l := &p.s.levels[i], &p.levels[i]
	r := lv.radix
	for b := 0; b < n; {
		if whole := l.whole(block+b, n-b, r); whole > 0 {
			lv.forward(block+b, whole, w, x.at(b*r*w))
			b += whole
			continue
		}
		if wanted := l.wanted[block+b]; wanted != 0 {
			rows, x := l.rows[l.at[block+b]:], x.at(b*r*w)
			first := bits.TrailingZeros8(wanted)
			last := bits.Len8(wanted) - 1
			for o := 0; o < w; o += columns {
				n, d := min(columns, w-o), x.at(last*w+o)
				if first != last { // the streams are still needed
					dft.Row(r, n, w, tmp.re, tmp.im, x.re[o:], x.im[o:], rows)
				}
				dft.Row(r, n, w, d.re, d.im, x.re[o:], x.im[o:], rows[2*r*(bits.OnesCount8(wanted)-1):])
				if first != last {
					d := x.at(first*w + o)
					copy(d.re[:n], tmp.re)
					copy(d.im[:n], tmp.im)
				}
			}
		}
		b++
	}
}

// inverse takes wanted values v back to x, times m, the others counting as zeros.
func (p *pruned) inverse(x, v planes, lanes int) {
	if p.r > 1 {
		for _, r := range p.runs {
			o, i := r[0]*lanes, r[0]*p.r
			dft.Unfold(r[1]-r[0], p.r, lanes, x.re[i*lanes:], x.im[i*lanes:], v.re[o:], v.im[o:], p.fold[2*i:])
		}
	}
	if p.whole {
		p.s.inverse(x, lanes*p.r)
		return
	}
	if len(p.runs) == 0 {
		clear(x.re)
		clear(x.im)
		return
	}
	buf := takeScratch(2 * padded(2*columns))
	p.ascend(0, 0, 1, x, buf.pair(0, 2*columns), lanes*p.r)
	buf.put()
}

func (p *pruned) ascend(i, block, blocks int, x, tmp planes, lanes int) {
	if i == len(p.levels) {
		return
	}
	lv := &p.s.levels[i]
	w := lv.m * lanes
	size := lv.radix * w
	if size*8 > l1Bytes {
		for b := range blocks {
			if p.levels[i].wanted[block+b] != 0 {
				p.ascend(i+1, (block+b)*lv.radix, lv.radix, x.at(b*size), tmp, lanes)
				p.join(i, block+b, 1, w, x.at(b*size), tmp)
			}
		}
		return
	}
	group := l1Bytes / (8 * size)
	for b := 0; b < blocks; b += group {
		g := min(group, blocks-b)
		part := x.at(b * size)
		for j := len(p.levels) - 1; j >= i; j-- {
			l := &p.s.levels[j]
			times := lv.radix * lv.m / (l.radix * l.m)
			p.join(j, (block+b)*times, g*times, l.m*lanes, part, tmp)
		}
	}
}

// join undoes split, times the radix.
func (p *pruned) join(i, block, n, w int, x, tmp planes) {
	lv, l := &p.s.levels[i], &p.levels[i]
	r := lv.radix
	for b := 0; b < n; {
		if whole := l.whole(block+b, n-b, r); whole > 0 {
			for j := b; j < b+whole; j++ {
				for c := range r {
					if l.wanted[block+j]>>c&1 == 0 {
						o := (j*r + c) * w
						clear(x.re[o : o+w])
						clear(x.im[o : o+w])
					}
				}
			}
			lv.inverse(block+b, whole, w, x.at(b*r*w))
			b += whole
			continue
		}
		if wanted := l.wanted[block+b]; wanted != 0 {
			x, count := x.at(b*r*w), bits.OnesCount8(wanted)
			rows := l.rows[int(l.at[block+b])+2*r*count:]
			first, last := bits.TrailingZeros8(wanted), bits.Len8(wanted)-1
			for o := 0; o < w; o += columns {
				n := min(columns, w-o)
				for i, c := range [2]int{first, last} {
					copy(tmp.re[i*columns:], x.re[c*w+o:][:n])
					copy(tmp.im[i*columns:], x.im[c*w+o:][:n])
				}
				for j := range r {
					d := x.at(j*w + o)
					dft.Row(count, n, columns, d.re, d.im, tmp.re, tmp.im, rows[2*count*j:])
				}
			}
		}
		b++
	}
}

// clear makes refused values zero.
func (p *pruned) clear(v planes, lanes int) {
	for _, r := range p.zeros {
		clear(v.re[r[0]*lanes : r[1]*lanes])
		clear(v.im[r[0]*lanes : r[1]*lanes])
	}
}

// rows is the number of values of a block.
func (f *Kernel) rows() int {
	if f.sparse != nil {
		return f.n / 2 / f.sparse.r
	}
	return f.n / 2
}

// forward takes a block to its values, in x or in v.
func (f *Kernel) forward(x, v planes, lanes int) planes {
	if f.sparse != nil {
		return f.sparse.forward(x, v, lanes)
	}
	return f.s.forward(x, x, lanes)
}

// inverse undoes forward, times half the points, from values in x or in v.
func (f *Kernel) inverse(x, v planes, lanes int) {
	if f.sparse != nil {
		f.sparse.inverse(x, v, lanes)
		return
	}
	f.s.inverse(x, lanes)
}

// times is op, a product of x with y, of the values that count.
func (f *Kernel) times(op func(dr, di, ar, ai []float32), x, y planes, lanes int) {
	if f.sparse == nil {
		op(x.re, x.im, y.re, y.im)
		return
	}
	for _, r := range f.sparse.runs {
		a, b := r[0]*lanes, r[1]*lanes
		op(x.re[a:b], x.im[a:b], y.re[a:b], y.im[a:b])
	}
}

// addTimes adds d·conj(x) to sum where it counts.
func (f *Kernel) addTimes(sum, d, x planes, lanes int) {
	if f.sparse == nil {
		dft.AddMulConj(sum.re, sum.im, d.re, d.im, x.re, x.im)
		return
	}
	for _, r := range f.sparse.runs {
		a, b := r[0]*lanes, r[1]*lanes
		dft.AddMulConj(sum.re[a:b], sum.im[a:b], d.re[a:b], d.im[a:b], x.re[a:b], x.im[a:b])
	}
}
