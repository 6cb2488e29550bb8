package rec

import (
	"math"
	"testing"
)

// Columns against the definition in float64, whole and in blocks of rows and of columns,
// with weights of zero and columns that see nothing.
func TestSoftmax(t *testing.T) {
	inf := float32(math.Inf(-1))
	eachChannels(t, func(t *testing.T, r source, T, C int) {
		if T == 0 {
			return
		}
		for _, scale := range []float32{MinSoftmaxScale, 0.125, 3} {
			like := func(n int) []float32 { return r.normal(n, 8/float64(scale)) }
			s := newRows(r, T, C, like)
			for i := range T {
				for c := range C {
					if (i+c)%3 == 0 || c == 1 {
						s.s[i*s.stride+c] = inf
					}
				}
			}
			st := [3]rows{newRows(r, 1, C, like), newRows(r, 1, C, r.between(0.5, 2)), newRows(r, 1, C, like)}
			if scale == 3 || C > 1 {
				for c := range C {
					if scale == 3 || c == 1 {
						st[0].s[c], st[1].s[c] = NewSoftmaxMax, 0
					}
				}
			}
			from := [3]rows{st[0].clone(), st[1].clone(), st[2].clone()}
			want, before := make([]float64, T*C), s.clone()
			for c := range C {
				m := float64(st[0].s[c])
				for i := range T {
					m = max(m, float64(s.s[i*s.stride+c]))
				}
				m = max(m, -3e38)
				for i := range T {
					want[i*C+c] = math.Exp(float64(scale) * (float64(s.s[i*s.stride+c]) - m))
				}
			}
			run := func(s rows, st [3]rows, t, n, c, w int) {
				Softmax(&SoftmaxArgs{T: n, C: w, S: s.s[t*s.stride+c:], Stride: s.stride, Max: st[0].s[c:], Sum: st[1].s[c:], Factor: st[2].s[c:], Scale: scale})
			}
			run(s, st, 0, T, 0, C)
			near(t, "weights", s.gather(), want, 4e-7)
			s.guard(t, "S")
			for i := range st {
				st[i].guard(t, "Max, Sum or Factor")
			}
			for c := range C {
				sum, m := float64(from[1].s[c]), max(float64(st[0].s[c]), -3e38)
				f := math.Exp(float64(scale) * (float64(from[0].s[c]) - m))
				if math.Abs(float64(st[2].s[c])-f) > 4e-7 {
					t.Fatalf("factor %v, want %v", st[2].s[c], f)
				}
				sum *= f
				for i := range T {
					sum += want[i*C+c]
					if want[i*C+c] == 0 && before.s[i*before.stride+c] == inf && s.s[i*s.stride+c] != 0 {
						t.Fatalf("the weight of −Inf is %v", s.s[i*s.stride+c])
					}
				}
				if math.Abs(float64(st[1].s[c])-sum) > 1e-6*(sum+1e-30) {
					t.Fatalf("sum %v, want %v", st[1].s[c], sum)
				}
			}
			// Blocks of rows end with the same maximum and sum, to rounding; columns with the same bits.
			st2 := [3]rows{from[0].clone(), from[1].clone(), from[2].clone()}
			whole := before.clone()
			inPieces(r, T, C, func(t, n, c, w int) {
				run(whole, st2, t, n, c, w)
			})
			for c := range C {
				if st2[0].s[c] != st[0].s[c] || math.Abs(float64(st2[1].s[c]-st[1].s[c])) > 2e-6*float64(st[1].s[c]) {
					t.Fatalf("in blocks %v, %v, want %v, %v", st2[0].s[c], st2[1].s[c], st[0].s[c], st[1].s[c])
				}
			}
			whole, st2 = before.clone(), [3]rows{from[0].clone(), from[1].clone(), from[2].clone()}
			for c := 0; c < C; {
				w := 1 + r.IntN(C-c)
				run(whole, st2, 0, T, c, w)
				c += w
			}
			same(t, "weights, by columns", whole.gather(), s.gather())
		}
	})
}

func TestSoftmaxBackward(t *testing.T) {
	eachChannels(t, func(t *testing.T, r source, T, C int) {
		if T == 0 {
			return
		}
		const scale = 0.25
		s, d := newRows(r, T, C, r.normals), newRows(r, T, C, r.normals)
		d2 := rows{newGuarded(T*s.stride, 0), T, C, s.stride} // with the distance of S's rows
		for i := range T {
			copy(d2.s[i*s.stride:][:C], d.s[i*d.stride:][:C])
			if i%2 == 1 {
				s.s[i*s.stride] = float32(math.Inf(-1))
			}
		}
		lse, delta := r.normal(C, 3), r.normal(C, 1)
		wantS, wantD := make([]float64, T*C), make([]float64, T*C)
		for i := range T {
			for c := range C {
				p := math.Exp(scale * (float64(s.s[i*s.stride+c]) - float64(lse[c])))
				wantS[i*C+c], wantD[i*C+c] = p, scale*p*(float64(d2.s[i*s.stride+c])-float64(delta[c]))
			}
		}
		SoftmaxBackward(&SoftmaxGrads{T: T, C: C, S: s.s, D: d2.s, Stride: s.stride, LSE: lse, Delta: delta, Scale: scale})
		near(t, "weights again", s.gather(), wantS, 4e-7)
		near(t, "gradient of numbers", d2.gather(), wantD, 4e-7)
		s.guard(t, "S")
		d2.guard(t, "D")
	})
}
