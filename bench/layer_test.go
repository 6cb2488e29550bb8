package bench

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/subquad/subquad/internal/kernel/gemm"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// matrices is the number of weights that are multiplied with every token.
func matrices(l nn.Layer) float64 {
	n := 0
	for _, p := range l.Params() {
		if p.Rank() == 2 {
			n += p.Len()
		}
	}
	return float64(n)
}

// A layer over whole sequences of growing length, one core: the time a token
// is flat but for softmax attention. Past 16k the sequence is fed in pieces of
// 16k with state, so that memory stays what one piece needs; softmax attention
// stops at 16k.
func BenchmarkForward(b *testing.B) {
	const width, piece = 256, 16384
	for _, e := range Kinds {
		for _, n := range []int{1024, 4096, 16384, 65536} {
			if testing.Short() && n > 1024 {
				continue
			}
			if e.Quadratic && n > piece {
				continue
			}
			b.Run(fmt.Sprintf("layer=%s/d=%d/n=%d", e.Name, width, n), func(b *testing.B) {
				l, err := e.New(width)
				if err != nil {
					b.Fatal(err)
				}
				x := random(min(n, piece)*width, -1, 1)
				inference(b, 2*matrices(l)*float64(n), func(s *tensor.Scope) {
					st := l.NewState(1)
					for done := 0; done < n; done += piece {
						s.Reset()
						nn.Long(l, s.From(x, 1, min(n, piece), width), st)
					}
				})
				b.ReportMetric(1e6/perSecond(b, float64(n)), "µs/token")
			})
		}
	}
}

// One token with state, after 1000 others.
func BenchmarkDecode(b *testing.B) {
	const width = 768
	for _, e := range Kinds {
		b.Run(fmt.Sprintf("layer=%s/d=%d", e.Name, width), func(b *testing.B) {
			l, err := e.New(width)
			if err != nil {
				b.Fatal(err)
			}
			st := l.NewState(1)
			s := tensor.NewScope(tensor.Workers(1))
			l.Forward(s.From(random(1000*width, -1, 1), 1, 1000, width), st)
			x := random(width, -1, 1)
			limit := gemm.ReadBandwidth(4 * l.Params().Count())
			inference(b, 2*matrices(l), func(s *tensor.Scope) { l.Forward(s.From(x, 1, 1, width), st) })
			// What counts here is the reading of the weights and of the state.
			b.ReportMetric(perSecond(b, float64(4*l.Params().Count()+st.Bytes()))/limit, "peak-frac")
			b.ReportMetric(float64(st.Bytes()), "state-bytes")
		})
	}
}

// Forward and backward of 512 tokens, all cores.
func BenchmarkTrain(b *testing.B) {
	const width, n = 256, 512
	for _, e := range Kinds {
		b.Run(fmt.Sprintf("layer=%s/d=%d/n=%d", e.Name, width, n), func(b *testing.B) {
			l, err := e.New(width)
			if err != nil {
				b.Fatal(err)
			}
			s := tensor.NewScope(tensor.Record())
			x := random(n*width, -1, 1)
			timed(b, 6*matrices(l)*n/float64(runtime.GOMAXPROCS(0)), func() {
				s.Reset()
				y := l.Forward(s.From(x, 1, n, width).Track(), nil)
				s.Backward(tensor.SumAll(tensor.Square(y)))
			})
			b.ReportMetric(1e6/perSecond(b, n), "µs/token")
		})
	}
}

// Every layer at one size, one core: a whole sequence, the same with
// gradients, and a single token after it.
func BenchmarkLayers(b *testing.B) {
	width, n := 768, 2048
	if testing.Short() {
		width, n = 256, 128
	}
	x := random(n*width, -1, 1)
	for _, k := range Kinds {
		l, err := k.New(width)
		if err != nil {
			b.Fatal(err)
		}
		run := func(pass string, tokens int, f func(b *testing.B)) {
			b.Run(fmt.Sprintf("layer=%s/d=%d/n=%d/pass=%s", k.Name, width, n, pass), func(b *testing.B) {
				f(b)
				b.ReportMetric(1e6/perSecond(b, float64(tokens)), "µs/token")
			})
		}
		run("forward", n, func(b *testing.B) {
			inference(b, 2*matrices(l)*float64(n), func(s *tensor.Scope) { nn.Long(l, s.From(x, 1, n, width), nil) })
		})
		run("train", n, func(b *testing.B) {
			s := tensor.NewScope(tensor.Record(), tensor.Workers(1))
			timed(b, 6*matrices(l)*float64(n), func() {
				s.Reset()
				s.Backward(tensor.SumAll(tensor.Square(l.Forward(s.From(x, 1, n, width).Track(), nil))))
			})
			l.Params().ZeroGrad()
		})
		run("decode", 1, func(b *testing.B) {
			st := l.NewState(1)
			nn.Long(l, tensor.NewScope(tensor.Workers(1)).From(x, 1, n, width), st)
			inference(b, 2*matrices(l), func(s *tensor.Scope) { l.Forward(s.From(x[:width], 1, 1, width), st) })
		})
	}
}
