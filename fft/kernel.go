package fft

import (
	"fmt"
	"math"
	"math/bits"
	"sync"

	"github.com/subquad/subquad/hw"
	dft "github.com/subquad/subquad/internal/kernel/fft"
)

// A Kernel is a causal filter for each channel, made ready to be applied often:
//
//	y[t] = Σ_s k[s] u[t−s],  0 ≤ s < taps
//
// Inputs before the first one are zeros, or the rows of past: the last taps−1
// inputs, which is all that a stream has to remember (Push keeps it).
//
// Few taps or few inputs are summed as they stand. Others are cut into blocks
// (overlap–save), so that a filter much shorter than its input, a partial
// convolution, takes short transforms that stay in the cache: 16k inputs with
// 128 taps take 0.4 of the time of 16k taps, 64k with 1k taps 0.55. Blocks are
// multiplied as polynomials modulo z^N + 1 with N a power of two: with
// z^(N/2) = i, a block of N real numbers is N/2 complex ones, the first half
// beside the second, and products need no separating of real spectra
// ("right-angle convolution", Krishna and Nussbaumer). The filter's values are kept. In FlashFFTConv's words (2311.05908) the order of
// frequencies is left permuted, because only products are taken of them.
type Kernel struct {
	taps, channels int
	k, skip        []float32 // skip: of [channels], to add to the first tap; nil for none
	n              int       // real points of a block; 0: always the plain sum
	s              *splitter
	lanes          int
	sparse         *pruned   // nil: all values count
	longest        int       // of a sparse kernel's signals
	spec           []float32 // for the channels from c on: at 2·rows·c, planes of that many rows, times 2/n
}

// NewKernel prepares k, [taps][channels], which it keeps and which must not
// change, for inputs of about length rows at a time; any other length is right
// too. It needs at least one tap, and taps and length of at most MaxLen together.
func NewKernel(k []float32, taps, channels, length int) (*Kernel, error) {
	if err := checkKernel(k, taps, channels, length); err != nil {
		return nil, err
	}
	f := &Kernel{}
	f.set(0, k, nil, taps, channels, length)
	return f, nil
}

func checkKernel(k []float32, taps, channels, length int) error {
	if taps < 1 || channels < 0 || length < 0 || taps > MaxLen-length {
		return fmt.Errorf("fft: kernel of %d taps, %d channels for length %d: want at least one tap, and taps and length of at most %d", taps, channels, length, MaxLen)
	}
	if len(k) != taps*channels {
		return fmt.Errorf("fft: kernel has %d values, want %d taps of %d channels", len(k), taps, channels)
	}
	return nil
}

// set fills a Kernel, whose memory it reuses.
func (f *Kernel) set(workers int, k, skip []float32, taps, channels, length int) {
	f.taps, f.channels, f.k, f.skip = taps, channels, k, skip
	f.prepare(workers, blockLen(taps, length))
}

// prepare chooses blocks of n points and takes the filter's values; 0 is the plain sum.
func (f *Kernel) prepare(workers, n int) {
	channels := f.channels
	f.n = n
	if n == 0 || channels == 0 {
		return
	}
	f.s = ring(f.n / 2)
	f.lanes = laneBlock(f.n/2, channels)
	size := 2 * f.rows() * channels
	if cap(f.spec) < size {
		f.spec = make([]float32, size)
	}
	f.spec = f.spec[:size]
	f.run(workers, &job{kind: makeSpectrum, f: f, batch: 1})
}

// Measured times of one channel on a vector machine, in nanoseconds: a
// multiply-add of the plain sum, and a row of a block of M rows,
// rowNS + levelNS·log2 M for there and back, more when it does not fit the second cache.
const (
	tapNS   = 0.035
	levelNS = 0.06
	rowNS   = 0.4
	farNS   = 0.6
)

func blockNS(n int) float64 {
	m := float64(n / 2)
	ns := rowNS + levelNS*math.Log2(m)
	if m*16*8 > l2Bytes {
		ns += farNS
	}
	return m * ns
}

// fftNS and directNS estimate the time of length outputs of one channel.
func fftNS(n, taps, length int) float64 {
	hop := n - taps + 1
	return float64((length+hop-1)/hop) * blockNS(n)
}

func directNS(taps, length int) float64 { return tapNS * float64(taps) * float64(length) }

// blockLen chooses the block for taps and a length; 0 is the plain sum.
func blockLen(taps, length int) int {
	best, ns := 0, directNS(taps, length)
	last := max(8, ceilPow2(length+taps-1))
	for n := max(8, ceilPow2(taps+1)); n <= last; n *= 2 {
		if t := fftNS(n, taps, length); t < ns {
			best, ns = n, t
		}
	}
	return best
}

// rings are the splitters of z^M − i by log2 M, made once.
var rings [32]struct {
	sync.Once
	s *splitter
}

func ring(m int) *splitter {
	r := &rings[bits.Len(uint(m))]
	r.Do(func() {
		r.s, _ = newSplitter(m, -0.25)
		r.s.turns = nil
	})
	return r.s
}

// Taps is the number of taps.
func (f *Kernel) Taps() int { return f.taps }

// Channels is the number of channels.
func (f *Kernel) Channels() int { return f.channels }

func (f *Kernel) check(op string, batch, length int, u, past []float32, names ...string) {
	if f.sparse != nil && length > f.longest {
		panic(fmt.Sprintf("fft: %s: %d inputs, want at most the %d that the sparse kernel was made for", op, length, f.longest))
	}
	name := append(names, "u", "past")
	checkLen(op, name[0], len(u), batch*length, f.channels)
	if past != nil {
		checkLen(op, name[1], len(past), batch*(f.taps-1), f.channels)
	}
}

// Conv puts the convolution of u, [batch][length][channels], into y of the
// same size, which may not overlap u. past is [batch][taps−1][channels], oldest first, or nil for zeros.
func (f *Kernel) Conv(y, u, past []float32, batch, length int) {
	f.check("Kernel.Conv", batch, length, u, past)
	f.check("Kernel.Conv", batch, length, y, nil, "y")
	f.run(0, &job{kind: convolve, f: f, y: f.flat(y, length), u: f.flat(u, length), past: past, batch: batch, length: length})
}

// GradSignal adds to du and dpast (nil if not wanted), shaped as Conv's u and
// past, the gradient with respect to them, given dy with respect to y.
func (f *Kernel) GradSignal(du, dpast, dy []float32, batch, length int) {
	f.check("Kernel.GradSignal", batch, length, du, dpast, "du", "dpast")
	f.check("Kernel.GradSignal", batch, length, dy, nil, "dy")
	f.run(0, &job{kind: gradSignal, f: f, y: f.flat(dy, length), du: f.flat(du, length), past: dpast, batch: batch, length: length})
}

// GradKernel adds to dk, [taps][channels], the gradient with respect to k, summed over the batch.
func (f *Kernel) GradKernel(dk, dy, u, past []float32, batch, length int) {
	f.check("Kernel.GradKernel", batch, length, u, past)
	f.check("Kernel.GradKernel", batch, length, dy, nil, "dy")
	checkLen("Kernel.GradKernel", "dk", len(dk), f.taps, f.channels)
	f.run(0, &job{kind: gradKernel, f: f, dk: dk, y: f.flat(dy, length), u: f.flat(u, length), past: past, batch: batch, length: length})
}

// Push moves past, [batch][taps−1][channels], on by the inputs u.
func (f *Kernel) Push(past, u []float32, batch, length int) {
	f.check("Kernel.Push", batch, length, u, past)
	p, n := (f.taps-1)*f.channels, length*f.channels
	for b := range batch {
		old, in := past[b*p:(b+1)*p], u[b*n:(b+1)*n]
		if n < p {
			copy(old, old[n:])
			copy(old[p-n:], in)
		} else {
			copy(old, in[n-p:])
		}
	}
}

// A grid is [batch][length][channels] in memory, sequences and rows some
// distance apart; without data there is none.
type grid struct {
	data     []float32
	seq, row int
}

// flat is a grid without gaps.
func (f *Kernel) flat(x []float32, length int) grid { return grid{x, length * f.channels, f.channels} }

// from is sequence b from channel c on.
func (g grid) from(b, c int) []float32 {
	if g.data == nil {
		return nil
	}
	return g.data[b*g.seq+c:]
}

// A job is one of the five computations, in units that may run at once. Each
// unit owns what it writes, so results do not depend on how units are shared out.
type job struct {
	kind          int
	f             *Kernel
	u, pre        grid // the signal, and what it is multiplied by
	y, post       grid // the results, or their gradients, and what they are multiplied by
	z             grid // convolve: results before post, if wanted
	du, dpre      grid // gradSignal adds to these, and to past
	past          []float32
	dk, dskip     []float32
	batch, length int
	direct        bool
	lanes         int // channels of a unit
}

const (
	makeSpectrum = iota
	convolve
	gradSignal
	gradKernel
	tile
)

func (f *Kernel) run(workers int, j *job) {
	if j.batch == 0 || f.channels == 0 || (j.length == 0 && j.kind != makeSpectrum) {
		return
	}
	j.direct = j.kind != makeSpectrum && f.sparse == nil && (f.n == 0 || j.kind == gradKernel && j.dk == nil || directNS(f.taps, j.length) <= fftNS(f.n, f.taps, j.length))
	j.do(workers)
}

// do shares the units out.
func (j *job) do(workers int) {
	f := j.f
	var ns float64 // of one unit, a channel
	j.lanes = f.lanes
	switch {
	case j.kind == makeSpectrum:
		ns = blockNS(f.n) / 2
	case j.kind == tile:
		ns = blockNS(f.n)
	case j.direct:
		ns = directNS(f.taps, j.length)
		j.lanes = min(f.channels, 64)
	default:
		ns = fftNS(f.n, f.taps, j.length)
	}
	units := (f.channels + j.lanes - 1) / j.lanes
	if j.kind == gradKernel {
		ns *= float64(j.batch)
	} else {
		units *= j.batch
	}
	if hw.Tasks(workers, units, ns*float64(j.lanes)) <= 1 {
		for i := range units {
			j.unit(i)
		}
		return
	}
	shared := *j
	hw.Parallel(workers, units, func(i int) { shared.unit(i) })
}

func (j *job) unit(i int) {
	blocks := (j.f.channels + j.lanes - 1) / j.lanes
	b, c := i/blocks, i%blocks*j.lanes
	lanes := min(j.lanes, j.f.channels-c)
	switch {
	case j.kind == makeSpectrum:
		j.f.spectrum(c, lanes)
	case j.kind == tile:
		j.tile(c, lanes)
	case j.kind == convolve && j.direct:
		j.sum(b, c, lanes)
	case j.kind == convolve:
		j.product(b, c, lanes)
	case j.kind == gradSignal && j.direct:
		j.sumSignal(b, c, lanes)
	case j.kind == gradSignal:
		j.productSignal(b, c, lanes)
	case j.direct:
		j.sumKernel(c, lanes)
	default:
		j.productKernel(c, lanes)
	}
}

// rows are t rows of the channels from some channel on, times gate if there is
// one; before them come p past rows, and zeros on both sides.
type rows struct {
	u, gate, past              []float32
	t, p                       int
	stride, gateStride, before int // of u, gate and past
}

// signal is sequence b from channel c on.
func (j *job) signal(b, c int) rows {
	r := rows{u: j.u.from(b, c), gate: j.pre.from(b, c), t: j.length, stride: j.u.row, gateStride: j.pre.row}
	if p := j.f.taps - 1; j.past != nil && p > 0 {
		r.p, r.before, r.past = p, j.f.channels, j.past[b*p*j.f.channels+c:]
	}
	return r
}

// results are n rows of the gradient of the result from row t on, times post.
func (j *job) results(b, c, t, n int) rows {
	r := rows{u: j.y.from(b, c)[t*j.y.row:], t: n, stride: j.y.row}
	if j.post.data != nil {
		r.gate, r.gateStride = j.post.from(b, c)[t*j.post.row:], j.post.row
	}
	return r
}

// load packs n = 2m rows from row w (0 is the first of u) on: the first m as real parts, the others as imaginary ones.
func (r rows) load(x planes, m, lanes, w int) {
	r.plane(x.re[:m*lanes], m, lanes, w)
	r.plane(x.im[:m*lanes], m, lanes, w+m)
}

func (r rows) plane(x []float32, m, lanes, w int) {
	lo, hi := max(w, -r.p), min(w+m, r.t)
	if lo >= hi {
		clear(x)
		return
	}
	clear(x[:(lo-w)*lanes])
	clear(x[(hi-w)*lanes:])
	if end := min(hi, 0); lo < end {
		dft.CopyRows(end-lo, lanes, x[(lo-w)*lanes:], lanes, r.past[(r.p+lo)*r.before:], r.before)
	}
	if lo = max(lo, 0); lo >= hi {
		return
	}
	if x = x[(lo-w)*lanes:]; r.gate == nil {
		dft.CopyRows(hi-lo, lanes, x, lanes, r.u[lo*r.stride:], r.stride)
	} else {
		dft.MulRows(hi-lo, lanes, x, lanes, r.u[lo*r.stride:], r.stride, r.gate[lo*r.gateStride:], r.gateStride)
	}
}

// flat is r with its gate multiplied in, for sums that read rows often.
func (r rows) flat(lanes int) (rows, *scratch) {
	if r.gate == nil {
		return r, nil
	}
	buf := takeScratch(r.t * lanes)
	r.plane(buf.buf, r.t, lanes, 0)
	r.u, r.gate, r.stride = buf.buf, nil, lanes
	return r, buf
}

// A sink takes rows, times gate if there is one; without dst it drops them.
type sink struct {
	dst, gate          []float32
	stride, gateStride int
	add                bool
}

// sinkOf is sequence b of a grid from channel c on.
func sinkOf(dst, gate grid, b, c int, add bool) sink {
	return sink{dst.from(b, c), gate.from(b, c), dst.row, gate.row, add}
}

// put takes n rows of x, stride apart, as those from row t on.
func (k sink) put(t, n, lanes int, x []float32, stride int) {
	if k.dst == nil || n <= 0 {
		return
	}
	d := k.dst[t*k.stride:]
	switch {
	case k.gate != nil && k.add:
		dft.AddMulRows(n, lanes, d, k.stride, x, stride, k.gate[t*k.gateStride:], k.gateStride)
	case k.gate != nil:
		dft.MulRows(n, lanes, d, k.stride, x, stride, k.gate[t*k.gateStride:], k.gateStride)
	case k.add:
		dft.AddRows(n, lanes, d, k.stride, x, stride)
	default:
		dft.CopyRows(n, lanes, d, k.stride, x, stride)
	}
}

// unpack takes count packed rows from row o on as those from row t on.
func (k sink) unpack(t, count, lanes int, x planes, m, o int) {
	first := min(count, m-o)
	if first > 0 {
		k.put(t, first, lanes, x.re[o*lanes:], lanes)
		t, o, count = t+first, o+first, count-first
	}
	if count > 0 {
		k.put(t, count, lanes, x.im[(o-m)*lanes:], lanes)
	}
}

// values are the kernel's at the channels from c on.
func (f *Kernel) values(c, lanes int) planes {
	m := f.rows() * lanes
	o := 2 * f.rows() * c
	return planes{f.spec[o : o+m], f.spec[o+m : o+2*m]}
}

func scaleBy(x planes, scale float32) {
	w := [2]float32{scale, 0}
	dft.DFT(1, len(x.re), len(x.re), x.re, x.im, x.re, x.im, w[:])
}

func (f *Kernel) spectrum(c, lanes int) {
	v := f.values(c, lanes)
	x, buf := v, (*scratch)(nil)
	if m := f.n / 2; m != f.rows() {
		buf = takeScratch(2 * padded(m*lanes))
		x = buf.pair(0, m*lanes)
	}
	rows{u: f.k[c:], t: f.taps, stride: f.channels}.load(x, f.n/2, lanes, 0)
	if f.skip != nil {
		dft.AddRows(1, lanes, x.re, lanes, f.skip[c:], lanes)
	}
	f.forward(x, v, lanes)
	if f.sparse != nil {
		f.sparse.clear(v, lanes)
	}
	scaleBy(v, 2/float32(f.n)) // a power of two: exact
	buf.put()
}

// blocks is scratch for n blocks and their values; x are the blocks, v the values.
func (f *Kernel) blocks(n, lanes int) (x, v [3]planes, buf *scratch) {
	size := f.n / 2 * lanes
	if f.rows() == f.n/2 {
		buf = takeScratch(n * 2 * padded(size))
	} else {
		buf = takeScratch(2 * n * 2 * padded(size))
	}
	for i := range n {
		x[i] = buf.pair(i, size)
		if v[i] = x[i]; f.rows() != f.n/2 {
			v[i] = buf.pair(n+i, size)
			v[i] = planes{v[i].re[:f.rows()*lanes], v[i].im[:f.rows()*lanes]}
		}
	}
	return x, v, buf
}

// product computes the outputs of sequence b by blocks: a window that begins
// taps−1 rows before its first output; what wraps around falls on those rows.
func (j *job) product(b, c, lanes int) {
	f, m := j.f, j.f.n/2
	hop, in := f.n-f.taps+1, j.signal(b, c)
	y, z := sinkOf(j.y, j.post, b, c, false), sinkOf(j.z, grid{}, b, c, false)
	k := f.values(c, lanes)
	xs, vs, buf := f.blocks(1, lanes)
	x, v := xs[0], vs[0]
	for t := 0; t < j.length; t += hop {
		in.load(x, m, lanes, t-f.taps+1)
		f.forward(x, v, lanes)
		f.times(dft.Mul, v, k, lanes)
		f.inverse(x, v, lanes)
		n := min(hop, j.length-t)
		z.unpack(t, n, lanes, x, m, f.taps-1)
		y.unpack(t, n, lanes, x, m, f.taps-1)
	}
	buf.put()
}

// earlier is the sink of the past's gradient; its row 0 is the oldest.
func (j *job) earlier(b, c int) (past sink, p int) {
	p = j.f.taps - 1
	if j.past == nil || p == 0 {
		return sink{}, 0
	}
	return sinkOf(grid{j.past, p * j.f.channels, j.f.channels}, grid{}, b, c, true), p
}

// productSignal: with g = post ⊙ dy, the gradient of row t is Σ_s k[s] g[t+s],
// from row −(taps−1) on when the past wants its own.
func (j *job) productSignal(b, c, lanes int) {
	f, m := j.f, j.f.n/2
	hop := f.n - f.taps + 1
	if f.sparse != nil {
		hop = f.n // one block, of zeros beyond the results
	}
	du, dpre := sinkOf(j.du, j.pre, b, c, true), sinkOf(j.dpre, j.u, b, c, true)
	past, p := j.earlier(b, c)
	dy := j.results(b, c, 0, j.length)
	k := f.values(c, lanes)
	xs, vs, buf := f.blocks(1, lanes)
	x, v := xs[0], vs[0]
	for t := -p; t < j.length; t += hop {
		dy.load(x, m, lanes, t)
		f.forward(x, v, lanes)
		f.times(dft.MulConj, v, k, lanes)
		f.inverse(x, v, lanes)
		count, o := min(hop, j.length-t), 0
		if t < 0 {
			o = min(count, -t)
			past.unpack(p+t, o, lanes, x, m, 0)
		}
		if o < count {
			du.unpack(t+o, count-o, lanes, x, m, o)
			dpre.unpack(t+o, count-o, lanes, x, m, o)
		}
	}
	buf.put()
}

// productKernel: dk[s] = Σ_t g[t] w[t−s], g = post ⊙ dy, w = pre ⊙ u. Spectra
// are summed over blocks and sequences, in order, before the one way back.
func (j *job) productKernel(c, lanes int) {
	f, m := j.f, j.f.n/2
	hop := f.n - f.taps + 1
	xs, vs, buf := f.blocks(3, lanes)
	x, d, sum := xs[0], xs[1], vs[2]
	clear(sum.re)
	clear(sum.im)
	for b := range j.batch {
		in := j.signal(b, c)
		for t := 0; t < j.length; t += hop {
			in.load(x, m, lanes, t-f.taps+1)
			f.forward(x, vs[0], lanes)
			j.results(b, c, t, min(hop, j.length-t)).load(d, m, lanes, 1-f.taps)
			f.forward(d, vs[1], lanes)
			f.addTimes(sum, vs[1], vs[0], lanes)
		}
	}
	if f.sparse != nil {
		f.sparse.clear(sum, lanes)
	}
	f.inverse(xs[2], sum, lanes)
	scaleBy(xs[2], 2/float32(f.n))
	sink{dst: j.dk[c:], stride: f.channels, add: true}.unpack(0, f.taps, lanes, xs[2], m, 0)
	if j.dskip != nil {
		dft.AddRows(1, lanes, j.dskip[c:], lanes, xs[2].re, lanes)
	}
	buf.put()
}

// tile adds what n/2 inputs give to the n/2 outputs after them. Half a block of
// zeros follows the inputs, so the sums that wrap around fall on the inputs' rows.
func (j *job) tile(c, lanes int) {
	f, m := j.f, j.f.n/2
	xs, _, buf := f.blocks(1, lanes)
	x, k := xs[0], f.values(c, lanes)
	dft.CopyRows(m, lanes, x.re, lanes, j.u.from(0, c), j.u.row)
	clear(x.im)
	f.s.forward(x, x, lanes)
	dft.Mul(x.re, x.im, k.re, k.im)
	f.s.inverse(x, lanes)
	dft.AddRows(m, lanes, j.y.from(0, c), j.y.row, x.im, lanes)
	buf.put()
}

// sum is the definition.
func (j *job) sum(b, c, lanes int) {
	C := j.f.channels
	in, buf := j.signal(b, c).flat(lanes)
	z := sinkOf(j.z, grid{}, b, c, false)
	post := j.post.from(b, c)
	for t := range j.length {
		y := j.y.from(b, c)[t*j.y.row:][:lanes]
		clear(y)
		n := min(t+1, j.f.taps)
		dft.DotRows(y, n, j.f.k, c, C, in.u, t*in.stride, -in.stride)
		dft.DotRows(y, min(j.f.taps-n, in.p), j.f.k, n*C+c, C, in.past, (in.p-1-(n-t-1))*C, -C)
		if j.f.skip != nil {
			dft.DotRows(y, 1, j.f.skip, c, 0, in.u, t*in.stride, 0)
		}
		z.put(t, 1, lanes, y, lanes)
		if post != nil {
			dft.MulRows(1, lanes, y, lanes, y, lanes, post[t*j.post.row:], lanes)
		}
	}
	buf.put()
}

func (j *job) sumSignal(b, c, lanes int) {
	C := j.f.channels
	du, dpre := sinkOf(j.du, j.pre, b, c, true), sinkOf(j.dpre, j.u, b, c, true)
	past, p := j.earlier(b, c)
	g, buf := j.results(b, c, 0, j.length).flat(lanes)
	var row [64]float32
	d := row[:lanes]
	for t := -p; t < j.length; t++ {
		clear(d)
		s := max(0, -t)
		dft.DotRows(d, min(j.f.taps, j.length-t)-s, j.f.k, s*C+c, C, g.u, (t+s)*g.stride, g.stride)
		if t < 0 {
			past.put(p+t, 1, lanes, d, lanes)
			continue
		}
		if j.f.skip != nil {
			dft.DotRows(d, 1, j.f.skip, c, 0, g.u, t*g.stride, 0)
		}
		du.put(t, 1, lanes, d, lanes)
		dpre.put(t, 1, lanes, d, lanes)
	}
	buf.put()
}

// sumKernel adds up runs of 128 products before it adds those, so that the
// rounding of long sums stays small.
func (j *job) sumKernel(c, lanes int) {
	C := j.f.channels
	const run = 128
	var part [64]float32
	taps := j.f.taps
	if j.dk == nil {
		taps = 1
	}
	for b := range j.batch {
		in, buf := j.signal(b, c).flat(lanes)
		g, buf2 := j.results(b, c, 0, j.length).flat(lanes)
		for s := range taps {
			for t := max(0, s-in.p); t < j.length; {
				from, at, step, n := in.u, (t-s)*in.stride, in.stride, min(run, j.length-t)
				if t < s {
					from, at, step, n = in.past, (in.p+t-s)*C, C, min(run, s-t, j.length-t)
				}
				clear(part[:lanes])
				dft.DotRows(part[:lanes], n, g.u, t*g.stride, g.stride, from, at, step)
				if j.dk != nil {
					dft.AddRows(1, lanes, j.dk[s*C+c:], lanes, part[:], lanes)
				}
				if s == 0 && j.dskip != nil {
					dft.AddRows(1, lanes, j.dskip[c:], lanes, part[:], lanes)
				}
				t += n
			}
		}
		buf.put()
		buf2.put()
	}
}
