package rec

import (
	"fmt"
	"math"
	"testing"

	"github.com/subquad/subquad/hw"
)

// channelCounts are whole vectors of every level, parts of them, and both.
var channelCounts = []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 18, 31, 33, 67}

// rows is [n][w] float32 with rows w+pad apart, between guard words.
type rows struct {
	guarded
	n, w, stride int
}

func newRows(r source, n, w int, like func(n int) []float32) rows {
	stride := w + r.IntN(4)
	m := rows{newGuarded(n*stride, r.IntN(4)), n, w, stride}
	for i := range n {
		copy(m.s[i*stride:][:w], like(w))
	}
	return m
}

func (m rows) clone() rows {
	c := newGuarded(len(m.s), 0)
	copy(c.s, m.s)
	return rows{c, m.n, m.w, m.stride}
}

func (m rows) gather() []float32 { return gather(m.s, m.n, m.stride, m.w) }

func (m rows) guard(t *testing.T, what string) {
	t.Helper()
	m.check(t, what, m.n, m.stride, m.w)
}

// eachChannels runs f at every level, for some numbers of tokens and all numbers of channels.
func eachChannels(t *testing.T, f func(t *testing.T, r source, T, C int)) {
	eachLevel(t, func(t *testing.T) {
		for _, T := range []int{0, 1, 2, 9} {
			for _, C := range channelCounts {
				t.Run(fmt.Sprintf("T=%d/C=%d", T, C), func(t *testing.T) { f(t, newSource(uint64(100*T+C)), T, C) })
			}
		}
	})
}

// inPieces calls f for pieces of T tokens and C channels that cover both.
func inPieces(r source, T, C int, f func(t, n, c, w int)) {
	for t := 0; t < T; {
		n := 1 + r.IntN(T-t)
		for c := 0; c < C; {
			w := 1 + r.IntN(C-c)
			f(t, n, c, w)
			c += w
		}
		t += n
	}
}

func (r source) normals(n int) []float32 { return r.normal(n, 1) }

func (r source) between(lo, hi float64) func(n int) []float32 {
	return func(n int) []float32 { return r.uniform(n, lo, hi) }
}

func TestSelective(t *testing.T) {
	eachChannels(t, func(t *testing.T, r source, T, E int) {
		for _, N := range []int{0, 1, 5, 16, 40} {
			h, al := newRows(r, N, E, r.normals), newRows(r, N, E, r.between(-8, -0.01))
			dt, x, y := newRows(r, T, E, r.between(0, 2)), newRows(r, T, E, r.normals), newRows(r, T, E, r.normals)
			b, c := newRows(r, T, N, r.normals), newRows(r, T, N, r.normals)
			d := r.normal(E, 1)
			if N == 5 {
				d = nil
			}
			if N == 16 && T > 0 { // factors that vanish, and that keep everything
				dt.s[0], dt.s[E-1] = 1e4, 0
			}
			want, state := make([]float64, T*E), wide(h.gather())
			for i := range T {
				for e := range E {
					dte, xe := float64(dt.s[i*dt.stride+e]), float64(x.s[i*x.stride+e])
					for n := range N {
						s := &state[n*E+e]
						*s = math.Exp(dte*float64(al.s[n*al.stride+e]))**s + dte*xe*float64(b.s[i*b.stride+n])
						want[i*E+e] += float64(c.s[i*c.stride+n]) * *s
					}
					if d != nil {
						want[i*E+e] += float64(d[e]) * xe
					}
				}
			}
			h2, y2 := h.clone(), y.clone()
			a := SelectiveArgs{T: T, E: E, N: N, H: h.s, A: al.s, D: d, Dt: dt.s, X: x.s, Y: y.s, B: b.s, C: c.s, HStride: h.stride, AStride: al.stride,
				DtStride: dt.stride, XStride: x.stride, YStride: y.stride, BStride: b.stride, CStride: c.stride}
			Selective(&a)
			near(t, "selective output", y.gather(), want, 2e-6)
			near(t, "selective state", h.gather(), state, 2e-6)
			y.guard(t, "Y")
			h.guard(t, "H")
			inPieces(r, T, E, func(t, n, e, w int) {
				p := a
				p.T, p.E = n, w
				p.Dt, p.X, p.Y = a.Dt[t*a.DtStride+e:], a.X[t*a.XStride+e:], y2.s[t*a.YStride+e:]
				p.B, p.C = tokens(a.B, t, a.BStride), tokens(a.C, t, a.CStride)
				if N > 0 {
					p.H, p.A = h2.s[e:], a.A[e:]
				}
				if d != nil {
					p.D = d[e:]
				}
				Selective(&p)
			})
			same(t, "selective output in pieces", y2.gather(), y.gather())
			same(t, "selective state in pieces", h2.gather(), h.gather())
		}
	})
}

// The factors of the states, by states of 1 that nothing is added to. Their
// argument is rounded twice, to which the allowance for its size is due; results
// below the normal numbers may be anything as small.
func TestDecay(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		var as []float32
		for x := 0.0; x > -110; x -= 0.0173 {
			as = append(as, float32(x))
		}
		for _, x := range []float64{1e-30, -1e-30, 1, 20, 80, 89, -MaxA, MaxA, -150, -1e6} {
			as = append(as, float32(x))
		}
		E := len(as)
		run := func(dt float32) []float32 {
			h, row := make([]float32, E), make([]float32, E)
			dts := make([]float32, E)
			for i := range h {
				h[i], dts[i] = 1, dt
			}
			Selective(&SelectiveArgs{T: 1, E: E, N: 1, H: h, A: as, Dt: dts, X: row, Y: make([]float32, E), B: []float32{0}, C: []float32{0}})
			return h
		}
		for _, dt := range []float32{0, 1, 0.3, 1e-10, 1e10, MaxA} {
			for i, got := range run(dt) {
				x := float64(dt) * float64(as[i])
				want := math.Exp(x)
				ok := math.Abs(float64(got)-want) <= (3+2*math.Abs(x))*0x1p-24*want+0x1p-126
				if want > math.MaxFloat32 {
					ok = math.IsInf(float64(got), 1)
				}
				if !ok {
					t.Fatalf("e^(%v·%v) = %v, want %v", dt, as[i], got, want)
				}
			}
		}
		for i, got := range run(float32(math.NaN())) {
			if got == got {
				t.Fatalf("e^(NaN·%v) = %v", as[i], got)
			}
		}
	})
}

// The way back against the portable one, which scan's tests compare with differences.
func TestDPLR(t *testing.T) {
	eachChannels(t, func(t *testing.T, r source, T, C int) {
		for _, N := range []int{0, 1, 6} {
			ld := C + r.IntN(4)
			var in [12][]float32 // S, A, P, Q, B, C
			for i := range in {
				in[i] = r.uniform(N*ld, -0.4, 0.4)
			}
			u, y, d := newRows(r, T, C, r.normals), newRows(r, T, C, r.normals), r.normal(C, 1)
			want := make([]float64, T*C)
			re, im := wide(in[0]), wide(in[1])
			for i := range T {
				for c := range C {
					v, z := float64(u.s[i*u.stride+c]), 0.0
					at := func(k, n int) complex128 { return complex(float64(in[k][n*ld+c]), float64(in[k+1][n*ld+c])) }
					form := func(k, n int) float64 { return real(at(k, n))*re[n*ld+c] + imag(at(k, n))*im[n*ld+c] }
					for n := range N {
						z += form(6, n)
					}
					want[i*C+c] = float64(d[c]) * v
					for n := range N {
						j := n*ld + c
						s := at(2, n)*complex(re[j], im[j]) - at(4, n)*complex(z, 0) + at(8, n)*complex(v, 0)
						re[j], im[j] = real(s), imag(s)
						want[i*C+c] += form(10, n)
					}
				}
			}
			sre, sim := newGuarded(N*ld, 1), newGuarded(N*ld, 2)
			run := func(y rows, sre, sim []float32, t, n, c, w int) {
				at := func(s []float32) []float32 { return s[min(c, len(s)):] }
				DPLR(&DPLRArgs{T: n, C: w, N: N, SRe: at(sre), SIm: at(sim), ARe: at(in[2]), AIm: at(in[3]), PRe: at(in[4]), PIm: at(in[5]), QRe: at(in[6]), QIm: at(in[7]),
					BRe: at(in[8]), BIm: at(in[9]), CRe: at(in[10]), CIm: at(in[11]), D: d[c:], U: u.s[t*u.stride+c:], Y: y.s[t*y.stride+c:], Stride: ld, UStride: u.stride, YStride: y.stride})
			}
			copy(sre.s, in[0])
			copy(sim.s, in[1])
			y2, re2, im2 := y.clone(), clone(in[0]), clone(in[1])
			run(y, sre.s, sim.s, 0, T, 0, C)
			near(t, "dplr output", y.gather(), want, 4e-6)
			near(t, "dplr state", gather(sre.s, N, ld, C), wide2(re, N, ld, C), 4e-6)
			near(t, "dplr state", gather(sim.s, N, ld, C), wide2(im, N, ld, C), 4e-6)
			y.guard(t, "Y")
			sre.check(t, "SRe", N, 0, C)
			sim.check(t, "SIm", N, 0, C)
			inPieces(r, T, C, func(t, n, c, w int) { run(y2, re2, im2, t, n, c, w) })
			same(t, "dplr output in pieces", y2.gather(), y.gather())
			same(t, "what is beside the state", sre.s, mix(sre.s, in[0], ld, C))
		}
	})
}

// asPortable compares gradients at the level in use with those in plain Go, relative to the
// largest of them all: one number alone may have cancelled.
func asPortable(t *testing.T, name string, gradients func() []rows, tolerance float64) {
	t.Helper()
	got := gradients()
	level := hw.Current()
	hw.Set(hw.Portable)
	want := gradients()
	hw.Set(level)
	var all, wants []float32
	for i := range got {
		all, wants = append(all, got[i].gather()...), append(wants, want[i].gather()...)
		got[i].guard(t, name)
	}
	near(t, name, all, wide(wants), tolerance)
}

func TestModes(t *testing.T) {
	eachChannels(t, func(t *testing.T, r source, T, C int) {
		like := r.between(-0.7, 0.7)
		var in [6]rows // H, L, K
		for i := range in {
			in[i] = newRows(r, 1, C, like)
		}
		x, y := newRows(r, T, C, r.normals), newRows(r, T, C, r.normals)
		z, dx, dz := x.clone(), x.clone(), x.clone()
		yi, dy, dyi := y.clone(), y.clone(), y.clone()
		for i := range T {
			for _, m := range []rows{z, yi, dz, dyi, dx, dy} {
				copy(m.s[i*m.stride:][:C], r.normals(C))
			}
		}
		args := func(h [2]rows) *ModesArgs {
			return &ModesArgs{T: T, C: C, HRe: h[0].s, HIm: h[1].s, LRe: in[2].s, LIm: in[3].s, KRe: in[4].s, KIm: in[5].s, XRe: x.s, XIm: z.s,
				YRe: y.s, YIm: yi.s, XStride: x.stride, YStride: y.stride}
		}
		h := [2]rows{in[0].clone(), in[1].clone()}
		Modes(args(h))
		want := make([]float64, 2*T*C)
		for c := range C {
			at := func(k int) complex128 { return complex(float64(in[k].s[c]), float64(in[k+1].s[c])) }
			s := at(0)
			for i := range T {
				s = at(2)*s + at(4)*complex(float64(x.s[i*x.stride+c]), float64(z.s[i*z.stride+c]))
				want[i*C+c], want[(T+i)*C+c] = real(s), imag(s)
			}
			if i := (T-1)*y.stride + c; T > 0 && (h[0].s[c] != y.s[i] || h[1].s[c] != yi.s[(T-1)*yi.stride+c]) {
				t.Fatalf("state %v, %v is not the last output", h[0].s[c], h[1].s[c])
			}
		}
		near(t, "modes", append(y.gather(), yi.gather()...), want, 2e-6)
		y.guard(t, "Y")
		yi.guard(t, "Y")
		h[0].guard(t, "H")
		h[1].guard(t, "H")
		// A vector alone, and some tokens alone, give the same bits.
		y2, yi2, h2 := y.clone(), yi.clone(), [2]rows{in[0].clone(), in[1].clone()}
		inPieces(r, T, C, func(t, n, c, w int) {
			a := args(h2)
			a.T, a.C, a.HRe, a.HIm, a.LRe, a.LIm, a.KRe, a.KIm = n, w, a.HRe[c:], a.HIm[c:], a.LRe[c:], a.LIm[c:], a.KRe[c:], a.KIm[c:]
			a.XRe, a.XIm, a.YRe, a.YIm = x.s[t*x.stride+c:], z.s[t*z.stride+c:], y2.s[t*y.stride+c:], yi2.s[t*y.stride+c:]
			Modes(a)
		})
		same(t, "modes in pieces", append(y2.gather(), yi2.gather()...), append(y.gather(), yi.gather()...))

		run := func() (out []rows) {
			for _, m := range append(in[:], dx, dz) {
				out = append(out, m.clone())
			}
			ModesBackward(args([2]rows{in[0], in[1]}), &ModesGrads{YRe: dy.s, YIm: dyi.s, HRe: out[0].s, HIm: out[1].s, LRe: out[2].s, LIm: out[3].s,
				KRe: out[4].s, KIm: out[5].s, XRe: out[6].s, XIm: out[7].s})
			return out
		}
		asPortable(t, "gradients of modes", run, 2e-6)
	})
}

func TestComplexBackward(t *testing.T) {
	eachChannels(t, func(t *testing.T, r source, T, C int) {
		for _, N := range []int{1, 6} {
			var in [8]rows // SRe, SIm, ARe, AIm, BRe, BIm, CRe, CIm
			in[0] = newRows(r, N, C, r.between(-0.7, 0.7))
			for i := 1; i < len(in); i++ {
				in[i] = in[0].clone()
				for n := range N {
					copy(in[i].s[n*in[i].stride:][:C], r.uniform(C, -0.7, 0.7))
				}
			}
			x, dy := newRows(r, T, C, r.normals), newRows(r, T, C, r.normals)
			a := ComplexArgs{T: T, C: C, N: N, SRe: in[0].s, SIm: in[1].s, ARe: in[2].s, AIm: in[3].s, BRe: in[4].s, BIm: in[5].s, CRe: in[6].s, CIm: in[7].s,
				D: r.normal(C, 1), X: x.s, Stride: in[0].stride, XStride: x.stride}
			dx, d := newRows(r, T, C, r.normals), newRows(r, 1, C, r.normals)
			run := func() (out []rows) {
				for _, m := range append(in[:], dx, d) {
					out = append(out, m.clone())
				}
				ComplexBackward(&a, &ComplexGrads{Y: dy.s, SRe: out[0].s, SIm: out[1].s, ARe: out[2].s, AIm: out[3].s, BRe: out[4].s, BIm: out[5].s, CRe: out[6].s, CIm: out[7].s,
					X: out[8].s, D: out[9].s, Stride: in[0].stride, YStride: dy.stride, XStride: dx.stride, Scratch: r.normal(ComplexScratch(T), 1)})
				return out
			}
			asPortable(t, "gradients of complex modes", run, 2e-6)
		}
	})
}

func TestSelectiveBackward(t *testing.T) {
	eachChannels(t, func(t *testing.T, r source, T, E int) {
		for _, N := range []int{1, 5, 16} {
			h, al := newRows(r, N, E, r.normals), newRows(r, N, E, r.between(-8, -0.01))
			dt, x, dy := newRows(r, T, E, r.between(0, 2)), newRows(r, T, E, r.normals), newRows(r, T, E, r.normals)
			b, c := newRows(r, T, N, r.normals), newRows(r, T, N, r.normals)
			a := SelectiveArgs{T: T, E: E, N: N, H: h.s, A: al.s, D: r.normal(E, 1), Dt: dt.s, X: x.s, B: b.s, C: c.s, HStride: h.stride, AStride: al.stride,
				DtStride: dt.stride, XStride: x.stride, BStride: b.stride, CStride: c.stride}
			outs := []rows{newRows(r, N, E, r.normals), newRows(r, T, E, r.normals), newRows(r, T, E, r.normals), newRows(r, T, N, r.normals),
				newRows(r, T, N, r.normals), newRows(r, N, E, r.normals), newRows(r, 1, E, r.normals)}
			run := func(back func(*SelectiveArgs, *SelectiveGrads)) (out []rows) {
				for _, m := range outs {
					out = append(out, m.clone())
				}
				back(&a, &SelectiveGrads{Y: dy.s, H: out[0].s, Dt: out[1].s, X: out[2].s, B: out[3].s, C: out[4].s, A: out[5].s, D: out[6].s,
					HStride: out[0].stride, AStride: out[5].stride, YStride: dy.stride, DtStride: out[1].stride, XStride: out[2].stride,
					BStride: out[3].stride, CStride: out[4].stride, Scratch: r.normal(SelectiveScratch(T, N), 1)})
				return out
			}
			got, want := run(SelectiveBackward), run(selectiveBackGeneric)
			for i, name := range []string{"H", "Dt", "X", "B", "C", "A", "D"} {
				near(t, "gradient of "+name, got[i].gather(), wide(want[i].gather()), 5e-6)
				got[i].guard(t, "gradient of "+name)
			}
		}
	})
}

func TestDiagonal(t *testing.T) {
	eachChannels(t, func(t *testing.T, r source, T, C int) {
		x, b, h := newRows(r, T, C, r.between(-1, 1)), newRows(r, T, C, r.normals), newRows(r, T, C, r.normals)
		s := newRows(r, 1, C, r.normals)
		want, state := make([]float64, T*C), wide(s.gather())
		for i := range T {
			for c := range C {
				state[c] = float64(x.s[i*x.stride+c])*state[c] + float64(b.s[i*b.stride+c])
				want[i*C+c] = state[c]
			}
		}
		s2, h2 := s.clone(), b.clone()
		Diagonal(&DiagonalArgs{T: T, C: C, A: x.s, B: b.s, H: h.s, State: s.s, AStride: x.stride, BStride: b.stride, HStride: h.stride})
		near(t, "diagonal output", h.gather(), want, 1e-6)
		near(t, "diagonal state", s.gather(), state, 1e-6)
		h.guard(t, "H")
		s.guard(t, "State")
		inPieces(r, T, C, func(t, n, c, w int) { // in the place of B
			at := t*h2.stride + c
			Diagonal(&DiagonalArgs{T: n, C: w, A: x.s[t*x.stride+c:], B: h2.s[at:], H: h2.s[at:], State: s2.s[c:],
				AStride: x.stride, BStride: h2.stride, HStride: h2.stride})
		})
		same(t, "diagonal output in pieces", h2.gather(), h.gather())
		same(t, "diagonal state in pieces", s2.gather(), s.gather())
	})
}

func TestComplex(t *testing.T) {
	eachChannels(t, func(t *testing.T, r source, T, C int) {
		for _, N := range []int{0, 1, 6} {
			ld := C + r.IntN(4)
			var in [8][]float32 // SRe, SIm, ARe, AIm, BRe, BIm, CRe, CIm
			for i := range in {
				in[i] = r.uniform(N*ld, -0.7, 0.7)
			}
			x, y, d := newRows(r, T, C, r.normals), newRows(r, T, C, r.normals), r.normal(C, 1)
			want := make([]float64, T*C)
			re, im := wide(in[0]), wide(in[1])
			for i := range T {
				for c := range C {
					u := float64(x.s[i*x.stride+c])
					sum := complex(0, 0)
					for n := range N {
						j := n*ld + c
						at := func(k int) complex128 { return complex(float64(in[k][j]), float64(in[k+1][j])) }
						s := at(2)*complex(re[j], im[j]) + at(4)*complex(u, 0)
						re[j], im[j] = real(s), imag(s)
						sum += at(6) * s
					}
					want[i*C+c] = 2*real(sum) + float64(d[c])*u
				}
			}
			sre, sim := newGuarded(N*ld, 1), newGuarded(N*ld, 2)
			run := func(x, y rows, sre, sim []float32, t, n, c, w int) {
				at := func(s []float32) []float32 { return s[min(c, len(s)):] }
				Complex(&ComplexArgs{T: n, C: w, N: N, SRe: at(sre), SIm: at(sim), ARe: at(in[2]), AIm: at(in[3]), BRe: at(in[4]), BIm: at(in[5]),
					CRe: at(in[6]), CIm: at(in[7]), D: d[c:], X: x.s[t*x.stride+c:], Y: y.s[t*y.stride+c:], Stride: ld, XStride: x.stride, YStride: y.stride})
			}
			copy(sre.s, in[0])
			copy(sim.s, in[1])
			y2, re2, im2 := y.clone(), clone(in[0]), clone(in[1])
			run(x, y, sre.s, sim.s, 0, T, 0, C)
			near(t, "complex output", y.gather(), want, 2e-6)
			near(t, "complex state", gather(sre.s, N, ld, C), wide2(re, N, ld, C), 2e-6)
			near(t, "complex state", gather(sim.s, N, ld, C), wide2(im, N, ld, C), 2e-6)
			y.guard(t, "Y")
			sre.check(t, "SRe", N, 0, C)
			sim.check(t, "SIm", N, 0, C)
			inPieces(r, T, C, func(t, n, c, w int) { run(x, y2, re2, im2, t, n, c, w) })
			same(t, "complex output in pieces", y2.gather(), y.gather())
			same(t, "complex state in pieces", gather(re2, N, ld, C), gather(sre.s, N, ld, C))
			same(t, "complex state in pieces", gather(im2, N, ld, C), gather(sim.s, N, ld, C))
			same(t, "what is beside the state", sre.s, mix(sre.s, in[0], ld, C))
		}
	})
}

// wide2 is gather of float64.
func wide2(s []float64, n, stride, w int) (out []float64) {
	for i := range n {
		out = append(out, s[i*stride:][:w]...)
	}
	return out
}

// mix is the first w of every stride elements of a, and the rest of b.
func mix(a, b []float32, stride, w int) []float32 {
	c := clone(b)
	for i := range c {
		if i%stride < w {
			c[i] = a[i]
		}
	}
	return c
}

func TestWKV4(t *testing.T) {
	eachChannels(t, func(t *testing.T, r source, T, C int) {
		for _, scale := range []float64{1, 60} { // of the keys: e^k itself would overflow
			k, v, o := newRows(r, T, C, func(n int) []float32 { return r.normal(n, scale) }), newRows(r, T, C, r.normals), newRows(r, T, C, r.normals)
			w, u := r.uniform(C, -3, -0.01), r.normal(C, 1)
			st := [3]rows{newRows(r, 1, C, r.normals), newRows(r, 1, C, r.between(0.5, 2)), newRows(r, 1, C, r.normals)}
			if scale == 1 { // an empty state
				st = [3]rows{newRows(r, 1, C, r.between(0, 0)), newRows(r, 1, C, r.between(0, 0)), newRows(r, 1, C, r.between(NewWKV4Max, NewWKV4Max))}
			}
			want := make([]float64, T*C)
			var state [3][]float64
			for i := range state {
				state[i] = wide(st[i].gather())
			}
			for c := range C {
				aa, bb, pp := &state[0][c], &state[1][c], &state[2][c]
				for i := range T {
					kc, vc := float64(k.s[i*k.stride+c]), float64(v.s[i*v.stride+c])
					q := max(*pp, float64(u[c])+kc)
					e1, e2 := math.Exp(*pp-q), math.Exp(float64(u[c])+kc-q)
					want[i*C+c] = (e1**aa + e2*vc) / (e1**bb + e2)
					q = max(*pp+float64(w[c]), kc)
					e1, e2 = math.Exp(*pp+float64(w[c])-q), math.Exp(kc-q)
					*aa, *bb, *pp = e1**aa+e2*vc, e1**bb+e2, q
				}
			}
			run := func(st [3]rows, o rows, t, n, c, width int) {
				WKV4(&WKV4Args{T: n, C: width, AA: st[0].s[c:], BB: st[1].s[c:], PP: st[2].s[c:], W: w[c:], U: u[c:], K: k.s[t*k.stride+c:],
					V: v.s[t*v.stride+c:], O: o.s[t*o.stride+c:], KStride: k.stride, VStride: v.stride, OStride: o.stride})
			}
			st2, o2 := [3]rows{st[0].clone(), st[1].clone(), st[2].clone()}, o.clone()
			run(st, o, 0, T, 0, C)
			tol := 1e-6 * scale // an exponent's rounding is its value's error
			near(t, "wkv4 output", o.gather(), want, tol)
			o.guard(t, "O")
			inPieces(r, T, C, func(t, n, c, w int) { run(st2, o2, t, n, c, w) })
			same(t, "wkv4 output in pieces", o2.gather(), o.gather())
			for i, name := range []string{"AA", "BB", "PP"} {
				if T > 0 {
					near(t, "wkv4 state", st[i].gather(), state[i], tol)
				}
				st[i].guard(t, name)
				same(t, "wkv4 state in pieces", st2[i].gather(), st[i].gather())
			}
		}
	})
}

func TestWKV4Backward(t *testing.T) {
	eachChannels(t, func(t *testing.T, r source, T, C int) {
		for _, scale := range []float64{1, 30} {
			k, v, do := newRows(r, T, C, func(n int) []float32 { return r.normal(n, scale) }), newRows(r, T, C, r.normals), newRows(r, T, C, r.normals)
			aa, bb, pp := r.normals(C), r.uniform(C, 0.5, 2), r.normals(C)
			if scale == 1 { // an empty state
				aa, bb, pp = make([]float32, C), make([]float32, C), r.uniform(C, NewWKV4Max, NewWKV4Max)
			}
			a := WKV4Args{T: T, C: C, AA: aa, BB: bb, PP: pp, W: r.uniform(C, -3, -0.01), U: r.normals(C), K: k.s, V: v.s, KStride: k.stride, VStride: v.stride}
			outs := []rows{newRows(r, 1, C, r.normals), newRows(r, 1, C, r.normals), newRows(r, 1, C, r.normals), newRows(r, 1, C, r.normals),
				newRows(r, T, C, r.normals), newRows(r, T, C, r.normals)}
			run := func() (out []rows) {
				for _, m := range outs {
					out = append(out, m.clone())
				}
				WKV4Backward(&a, &WKV4Grads{O: do.s, AA: out[0].s, BB: out[1].s, W: out[2].s, U: out[3].s, K: out[4].s, V: out[5].s,
					OStride: do.stride, KStride: out[4].stride, VStride: out[5].stride, Scratch: r.normal(WKV4Scratch(T), 1)})
				return out
			}
			asPortable(t, "gradients of wkv4", run, 1e-6*scale)
		}
	})
}

func TestConv(t *testing.T) {
	eachChannels(t, func(t *testing.T, r source, T, C int) {
		for variant := range 10 {
			width, silu := 1+variant/2, variant%2 == 1
			x, y, s := newRows(r, T, C, r.normals), newRows(r, T, C, r.normals), newRows(r, width-1, C, r.normals)
			w, bias := newRows(r, width, C, r.normals), r.normal(C, 1)
			if variant%3 == 0 {
				bias = nil
			}
			past := append(wide(s.gather()), wide(x.gather())...)
			want := make([]float64, T*C)
			for i := range want {
				t, c := i/C, i%C
				if bias != nil {
					want[i] = float64(bias[c])
				}
				for j := range width {
					want[i] += float64(w.s[j*w.stride+c]) * past[(t+j)*C+c]
				}
				if silu {
					want[i] /= 1 + math.Exp(-want[i])
				}
			}
			run := func(y, s rows, t, n, c, cols int) {
				a := ConvArgs{T: n, C: cols, Width: width, Dst: y.s[t*y.stride+c:], X: x.s[t*x.stride+c:], Weights: w.s[c:], State: s.s[min(c, len(s.s)):], SiLU: silu,
					DstStride: y.stride, XStride: x.stride, WeightStride: w.stride, StateStride: s.stride}
				if bias != nil {
					a.Bias = bias[c:]
				}
				Conv(&a)
			}
			y2, s2 := y.clone(), s.clone()
			run(y, s, 0, T, 0, C)
			near(t, "convolution", y.gather(), want, 1e-6)
			near(t, "convolution's state", s.gather(), past[T*C:], 0)
			y.guard(t, "Dst")
			s.guard(t, "State")
			inPieces(r, T, C, func(t, n, c, cols int) { run(y2, s2, t, n, c, cols) })
			same(t, "convolution in pieces", y2.gather(), y.gather())
			same(t, "convolution's state in pieces", s2.gather(), s.gather())
			if width <= 4 && T > 0 { // Dst may be X
				x2, s3 := x.clone(), s2.clone()
				copy(s3.s, s.s)
				b := s3.clone()
				in := ConvArgs{T: T, C: C, Width: width, Dst: x2.s, X: x2.s, Weights: w.s, Bias: bias, State: s3.s, SiLU: silu,
					DstStride: x.stride, XStride: x.stride, WeightStride: w.stride, StateStride: s.stride}
				out := in
				out.Dst, out.X, out.State, out.DstStride = y2.s, x.s, b.s, y2.stride
				Conv(&in)
				Conv(&out)
				same(t, "convolution in place", x2.gather(), y2.gather())
			}
		}
	})
}
