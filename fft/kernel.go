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
// (overlap–save) that are multiplied as polynomials modulo z^N + 1 with N a
// power of two: with z^(N/2) = i, a block of N real numbers is N/2 complex
// ones, the first half beside the second, and products need no separating of
// real spectra ("right-angle convolution", Krishna and Nussbaumer). The
// filter's values are kept. In FlashFFTConv's words (2311.05908) the order of
// frequencies is left permuted, because only products are taken of them.
type Kernel struct {
	taps, channels int
	k              []float32
	n              int // real points of a block; 0: always the plain sum
	s              *splitter
	lanes          int
	spec           []float32 // for the channels from c on: at 2·n/2·c, planes of n/2 rows, times 2/n
}

// NewKernel prepares k, [taps][channels], which it keeps and which must not
// change, for inputs of about length rows at a time; any other length is right
// too. It needs at least one tap, and taps and length of at most MaxLen together.
func NewKernel(k []float32, taps, channels, length int) (*Kernel, error) {
	if taps < 1 || channels < 0 || length < 0 || taps > MaxLen-length {
		return nil, fmt.Errorf("fft: kernel of %d taps, %d channels for length %d: want at least one tap, and taps and length of at most %d", taps, channels, length, MaxLen)
	}
	if len(k) != taps*channels {
		return nil, fmt.Errorf("fft: kernel has %d values, want %d taps of %d channels", len(k), taps, channels)
	}
	f := &Kernel{}
	f.set(0, k, taps, channels, length)
	return f, nil
}

// set fills a Kernel, whose memory it reuses.
func (f *Kernel) set(workers int, k []float32, taps, channels, length int) {
	f.taps, f.channels, f.k = taps, channels, k
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
	if cap(f.spec) < f.n*channels {
		f.spec = make([]float32, f.n*channels)
	}
	f.spec = f.spec[:f.n*channels]
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
	f.run(0, &job{kind: convolve, f: f, y: y, u: u, past: past, batch: batch, length: length})
}

// GradSignal adds to du and dpast (nil if not wanted), shaped as Conv's u and
// past, the gradient with respect to them, given dy with respect to y.
func (f *Kernel) GradSignal(du, dpast, dy []float32, batch, length int) {
	f.check("Kernel.GradSignal", batch, length, du, dpast, "du", "dpast")
	f.check("Kernel.GradSignal", batch, length, dy, nil, "dy")
	f.run(0, &job{kind: gradSignal, f: f, y: dy, u: du, past: dpast, batch: batch, length: length})
}

// GradKernel adds to dk, [taps][channels], the gradient with respect to k, summed over the batch.
func (f *Kernel) GradKernel(dk, dy, u, past []float32, batch, length int) {
	f.check("Kernel.GradKernel", batch, length, u, past)
	f.check("Kernel.GradKernel", batch, length, dy, nil, "dy")
	checkLen("Kernel.GradKernel", "dk", len(dk), f.taps, f.channels)
	f.run(0, &job{kind: gradKernel, f: f, dk: dk, y: dy, u: u, past: past, batch: batch, length: length})
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

// A job is one of the four computations, in units that may run at once. Each
// unit owns what it writes, so results do not depend on how units are shared out.
type job struct {
	kind          int
	f             *Kernel
	y, u, past    []float32 // gradSignal: dy, du, dpast
	dk            []float32
	batch, length int
	direct        bool
	lanes         int // channels of a unit
}

const (
	makeSpectrum = iota
	convolve
	gradSignal
	gradKernel
)

func (f *Kernel) run(workers int, j *job) {
	if j.batch == 0 || f.channels == 0 || (j.length == 0 && j.kind != makeSpectrum) {
		return
	}
	j.direct = j.kind != makeSpectrum && (f.n == 0 || directNS(f.taps, j.length) <= fftNS(f.n, f.taps, j.length))
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

// rows are length rows of the channels from some channel on; before them come
// past rows, and zeros on both sides.
type rows struct {
	u, past []float32
	t, p    int // rows of u and of past
	stride  int
}

// signal is sequence b from channel c on.
func (j *job) signal(b, c int) rows {
	r := rows{u: j.u[b*j.length*j.f.channels+c:], t: j.length, stride: j.f.channels}
	if j.past != nil && j.f.taps > 1 {
		r.p = j.f.taps - 1
		r.past = j.past[b*r.p*j.f.channels+c:]
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
		dft.CopyRows(end-lo, lanes, x[(lo-w)*lanes:], lanes, r.past[(r.p+lo)*r.stride:], r.stride)
	}
	if lo = max(lo, 0); lo < hi {
		dft.CopyRows(hi-lo, lanes, x[(lo-w)*lanes:], lanes, r.u[lo*r.stride:], r.stride)
	}
}

// store copies, or adds, count packed rows from row o on to rows of dst.
func store(dst []float32, stride, lanes int, x planes, m, o, count int, add bool) {
	put := dft.CopyRows
	if add {
		put = dft.AddRows
	}
	if k := min(count, m-o); k > 0 {
		put(k, lanes, dst, stride, x.re[o*lanes:], lanes)
		dst, o, count = dst[min(k*stride, len(dst)):], o+k, count-k
	}
	if count > 0 {
		put(count, lanes, dst, stride, x.im[(o-m)*lanes:], lanes)
	}
}

// values are the kernel's at the channels from c on.
func (f *Kernel) values(c, lanes int) planes {
	m := f.n / 2 * lanes
	o := f.n * c
	return planes{f.spec[o : o+m], f.spec[o+m : o+2*m]}
}

func scaleBy(x planes, scale float32) {
	w := [2]float32{scale, 0}
	dft.DFT(1, len(x.re), len(x.re), x.re, x.im, x.re, x.im, w[:])
}

func (f *Kernel) spectrum(c, lanes int) {
	x := f.values(c, lanes)
	rows{u: f.k[c:], t: f.taps, stride: f.channels}.load(x, f.n/2, lanes, 0)
	f.s.forward(x, x, lanes)
	scaleBy(x, 2/float32(f.n)) // a power of two: exact
}

// product computes the outputs of sequence b by blocks: a window that begins
// taps−1 rows before its first output; what wraps around falls on those rows.
func (j *job) product(b, c, lanes int) {
	f, m := j.f, j.f.n/2
	hop, in := f.n-f.taps+1, j.signal(b, c)
	y := j.y[b*j.length*f.channels+c:]
	k := f.values(c, lanes)
	buf := takeScratch(2 * padded(m*lanes))
	x := buf.pair(0, m*lanes)
	for t := 0; t < j.length; t += hop {
		in.load(x, m, lanes, t-f.taps+1)
		f.s.forward(x, x, lanes)
		dft.Mul(x.re, x.im, k.re, k.im)
		f.s.inverse(x, lanes)
		store(y[t*f.channels:], f.channels, lanes, x, m, f.taps-1, min(hop, j.length-t), false)
	}
	buf.put()
}

// productSignal: du[t] = Σ_s k[s] dy[t+s], from row −(taps−1) on when the past wants its gradient.
func (j *job) productSignal(b, c, lanes int) {
	f, m := j.f, j.f.n/2
	hop, out := f.n-f.taps+1, j.signal(b, c)
	dy := rows{u: j.y[b*j.length*f.channels+c:], t: j.length, stride: f.channels}
	k := f.values(c, lanes)
	buf := takeScratch(2 * padded(m*lanes))
	x := buf.pair(0, m*lanes)
	for t := -out.p; t < j.length; t += hop {
		dy.load(x, m, lanes, t)
		f.s.forward(x, x, lanes)
		dft.MulConj(x.re, x.im, k.re, k.im)
		f.s.inverse(x, lanes)
		count, o := min(hop, j.length-t), 0
		if t < 0 {
			o = min(count, -t)
			store(out.past[(out.p+t)*f.channels:], f.channels, lanes, x, m, 0, o, true)
		}
		if o < count {
			store(out.u[(t+o)*f.channels:], f.channels, lanes, x, m, o, count-o, true)
		}
	}
	buf.put()
}

// productKernel: dk[s] = Σ_t dy[t] u[t−s]. Spectra are summed over blocks and
// sequences, in order, before the one way back.
func (j *job) productKernel(c, lanes int) {
	f, m := j.f, j.f.n/2
	hop := f.n - f.taps + 1
	buf := takeScratch(6 * padded(m*lanes))
	sum, x, d := buf.pair(0, m*lanes), buf.pair(1, m*lanes), buf.pair(2, m*lanes)
	clear(sum.re)
	clear(sum.im)
	for b := range j.batch {
		in := j.signal(b, c)
		dy := j.y[b*j.length*f.channels+c:]
		for t := 0; t < j.length; t += hop {
			in.load(x, m, lanes, t-f.taps+1)
			f.s.forward(x, x, lanes)
			rows{u: dy[t*f.channels:], t: min(hop, j.length-t), stride: f.channels}.load(d, m, lanes, 1-f.taps)
			f.s.forward(d, d, lanes)
			dft.AddMulConj(sum.re, sum.im, d.re, d.im, x.re, x.im)
		}
	}
	f.s.inverse(sum, lanes)
	scaleBy(sum, 2/float32(f.n))
	store(j.dk[c:], f.channels, lanes, sum, m, 0, f.taps, true)
	buf.put()
}

// sum is the definition.
func (j *job) sum(b, c, lanes int) {
	C, in := j.f.channels, j.signal(b, c)
	for t := range j.length {
		y := j.y[(b*j.length+t)*C+c:][:lanes]
		clear(y)
		n := min(t+1, j.f.taps)
		dft.DotRows(y, n, j.f.k, c, C, in.u, t*C, -C)
		dft.DotRows(y, min(j.f.taps-n, in.p), j.f.k, n*C+c, C, in.past, (in.p-1-(n-t-1))*C, -C)
	}
}

func (j *job) sumSignal(b, c, lanes int) {
	C, out := j.f.channels, j.signal(b, c)
	dy := j.y[b*j.length*C+c:]
	for t := -out.p; t < j.length; t++ {
		var d []float32
		if t < 0 {
			d = out.past[(out.p+t)*C:][:lanes]
		} else {
			d = out.u[t*C:][:lanes]
		}
		s := max(0, -t)
		dft.DotRows(d, min(j.f.taps, j.length-t)-s, j.f.k, s*C+c, C, dy, (t+s)*C, C)
	}
}

// sumKernel adds up runs of 128 products before it adds those, so that the
// rounding of long sums stays small.
func (j *job) sumKernel(c, lanes int) {
	C := j.f.channels
	const run = 128
	var part [64]float32
	for b := range j.batch {
		in := j.signal(b, c)
		dy := j.y[b*j.length*C+c:]
		for s := range j.f.taps {
			dk := j.dk[s*C+c:][:lanes]
			for t := max(0, s-in.p); t < j.length; {
				from, at, n := in.u, (t-s)*C, min(run, j.length-t)
				if t < s {
					from, at, n = in.past, (in.p+t-s)*C, min(run, s-t, j.length-t)
				}
				clear(part[:lanes])
				dft.DotRows(part[:lanes], n, dy, t*C, C, from, at, C)
				dft.AddRows(1, lanes, dk, lanes, part[:], lanes)
				t += n
			}
		}
	}
}
