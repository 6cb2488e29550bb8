package bench

import (
	"flag"
	"fmt"
	"runtime"
	"testing"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/gemm"
	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/rwkv"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

var longest = flag.Int("longest", 65536, "tokens of the longest sequences of BenchmarkForward")

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

// A pass is something that layers do with b sequences of n tokens.
type pass struct {
	batch, n, width, threads int
	train                    bool
}

// run times a pass over a layer, and reports the time for a token and what
// it holds in memory. Long sequences are fed in pieces with state, so that
// memory stays what one piece needs.
func (p pass) run(b *testing.B, l nn.Layer, err error) {
	if err != nil {
		b.Fatal(err)
	}
	const most = 16384 // tokens that a piece may have
	piece := min(p.n, most)
	x := random(p.batch*piece*p.width, -1, 1)
	options := []tensor.Option{tensor.Workers(p.threads)}
	flop := 2 * matrices(l) * float64(p.batch*p.n)
	if p.train {
		options, flop = append(options, tensor.Record()), 3*flop
	}
	s := tensor.NewScope(options...)
	var st *tensor.State
	measure := timed
	if p.n > most {
		measure = timedCold
	}
	measure(b, flop/float64(p.threads), func() {
		if p.train {
			s.Reset()
			s.Backward(tensor.SumAll(tensor.Square(l.Forward(s.From(x, p.batch, p.n, p.width).Track(), nil))))
			return
		}
		st = l.NewState(p.batch)
		for done := 0; done < p.n; done += piece {
			s.Reset()
			nn.Long(l, s.From(x, p.batch, piece, p.width), st)
		}
	})
	b.ReportMetric(1e6/perSecond(b, float64(p.batch*p.n)), "µs/token")
	b.ReportMetric(float64(s.Bytes()), "scratch-bytes")
	if p.train {
		l.Params().ZeroGrad()
	} else {
		b.ReportMetric(float64(st.Bytes()), "state-bytes")
	}
}

// decode times single tokens of some sequences after so many others. What
// counts here is the reading of the weights and of the state. Where the state
// grows, each 64 tokens start anew from the same depth.
func decode(b *testing.B, k Kind, l nn.Layer, err error, batch, depth, width int) {
	if err != nil {
		b.Fatal(err)
	}
	s := tensor.NewScope(tensor.Workers(1))
	st, x := l.NewState(batch), random(batch*min(depth, 4096)*width, -1, 1)
	for done := 0; done < depth; done += 4096 {
		s.Reset()
		n := min(4096, depth-done)
		nn.Long(l, s.From(x[:batch*n*width], batch, n, width), st)
	}
	bytes := float64(4*l.Params().Count() + st.Bytes())
	limit := gemm.ReadBandwidth(int(bytes))
	fork := st.Clone()
	step := func() {
		s.Reset()
		l.Forward(s.From(x[:batch*width], batch, 1, width), fork)
	}
	step() // memory is taken once
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if k.Quadratic && n%64 == 63 {
			b.StopTimer()
			fork = st.Clone()
			step()
			b.StartTimer()
		}
		step()
	}
	b.ReportMetric(perSecond(b, bytes)/limit, "peak-frac")
	b.ReportMetric(1e6/perSecond(b, float64(batch)), "µs/token")
	b.ReportMetric(float64(st.Bytes()), "state-bytes")
}

// each runs f for every layer, softmax attention among them.
func each(b *testing.B, width int, f func(b *testing.B, k Kind, l nn.Layer, err error)) {
	for _, k := range Kinds {
		b.Run("layer="+k.Name, func(b *testing.B) {
			l, err := k.New(width)
			f(b, k, l, err)
		})
	}
}

// lengths are n, 4n, … up to last; only the first when tests are to be short.
func lengths(n, last int) (list []int) {
	for ; n <= last && !(testing.Short() && len(list) > 0); n *= 4 {
		list = append(list, n)
	}
	return list
}

// size is n, but for short tests, which only see that benchmarks work.
func size(n int) int {
	if testing.Short() {
		return min(n, 128)
	}
	return n
}

// A layer over whole sequences of growing length, one core: the time a token
// is flat but for softmax attention's.
func BenchmarkForward(b *testing.B) {
	each(b, 256, func(b *testing.B, k Kind, l nn.Layer, err error) {
		for _, n := range lengths(256, *longest) {
			if k.Quadratic && n > 65536 {
				continue
			}
			b.Run(fmt.Sprintf("d=256/n=%d", n), func(b *testing.B) { pass{1, n, 256, 1, false}.run(b, l, err) })
		}
	})
}

// Forward and backward with the gradients of the input and of every weight, one core.
func BenchmarkTrain(b *testing.B) {
	each(b, 256, func(b *testing.B, _ Kind, l nn.Layer, err error) {
		for _, n := range lengths(256, 4096) {
			b.Run(fmt.Sprintf("d=256/n=%d", n), func(b *testing.B) { pass{1, n, 256, 1, true}.run(b, l, err) })
		}
	})
}

// One token with state, after many others.
func BenchmarkDecode(b *testing.B) {
	d := size(768)
	each(b, d, func(b *testing.B, k Kind, l nn.Layer, err error) {
		for _, depth := range lengths(size(1024), 16384) {
			b.Run(fmt.Sprintf("d=%d/depth=%d", d, depth), func(b *testing.B) { decode(b, k, l, err, 1, depth, d) })
		}
	})
}

// The width of the residual stream.
func BenchmarkWidth(b *testing.B) {
	n := size(1024)
	for _, d := range lengths(64, 1024) {
		each(b, d, func(b *testing.B, _ Kind, l nn.Layer, err error) {
			b.Run(fmt.Sprintf("d=%d/n=%d", d, n), func(b *testing.B) { pass{1, n, d, 1, false}.run(b, l, err) })
		})
	}
}

// Many sequences at once: whole ones, and single tokens, which then read the weights only once for all.
func BenchmarkBatch(b *testing.B) {
	d := size(256)
	each(b, d, func(b *testing.B, k Kind, l nn.Layer, err error) {
		for _, n := range []int{1, 8} {
			b.Run(fmt.Sprintf("d=%d/n=%d/batch=%d/pass=forward", d, d, n), func(b *testing.B) { pass{n, d, d, 1, false}.run(b, l, err) })
			b.Run(fmt.Sprintf("d=%d/depth=%d/batch=%d/pass=decode", d, d, n), func(b *testing.B) { decode(b, k, l, err, n, d, d) })
		}
	})
}

// Cores: one, two, four, … and all.
func BenchmarkThreads(b *testing.B) {
	tokens := size(4096)
	each(b, 256, func(b *testing.B, _ Kind, l nn.Layer, err error) {
		for n, all := 1, runtime.GOMAXPROCS(0); n <= all; n = max(n+1, min(2*n, all)) {
			b.Run(fmt.Sprintf("d=256/n=%d/threads=%d", tokens, n), func(b *testing.B) { pass{1, tokens, 256, n, false}.run(b, l, err) })
		}
	})
}

// Every instruction level that the machine has.
func BenchmarkLevel(b *testing.B) {
	was := hw.Current()
	defer hw.Set(was)
	n := size(1024)
	each(b, 256, func(b *testing.B, _ Kind, l nn.Layer, err error) {
		for _, level := range hw.Levels() {
			b.Run(fmt.Sprintf("d=256/n=%d/hw=%s", n, level), func(b *testing.B) {
				if err := hw.Set(level); err != nil {
					b.Fatal(err)
				}
				pass{1, n, 256, 1, false}.run(b, l, err)
			})
		}
	})
}

// The size of the state: of each channel, of each head's rows, or of all
// together, as each layer's configuration has it.
func BenchmarkState(b *testing.B) {
	const d = 256
	length := size(2048)
	for _, k := range []struct {
		name  string
		what  string // the field of the configuration
		sizes []int
		make  func(n int) (nn.Layer, error)
	}{
		{"s4d", "DState", []int{16, 64, 256}, func(n int) (nn.Layer, error) { return ssm.NewS4D(ssm.S4DConfig{DModel: d, DState: n}) }},
		{"s5", "DState", []int{64, 256, 1024}, func(n int) (nn.Layer, error) { return ssm.NewS5(ssm.S5Config{DModel: d, DState: n}) }},
		{"lru", "DState", []int{64, 256, 1024}, func(n int) (nn.Layer, error) { return ssm.NewLRU(ssm.LRUConfig{DModel: d, DState: n}) }},
		{"mamba", "DState", []int{8, 16, 64}, func(n int) (nn.Layer, error) { return ssm.NewMamba(ssm.MambaConfig{DModel: d, DState: n}) }},
		{"mamba2", "DState", []int{32, 128, 256}, func(n int) (nn.Layer, error) { return ssm.NewMamba2(ssm.Mamba2Config{DModel: d, DState: n}) }},
		{"mamba3", "DState", []int{32, 64, 128}, func(n int) (nn.Layer, error) { return ssm.NewMamba3(ssm.Mamba3Config{DModel: d, DState: n}) }},
		{"rwkv7", "HeadDim", []int{32, 64, 128}, func(n int) (nn.Layer, error) { return rwkv.NewTimeMix7(rwkv.Config7{DModel: d, HeadDim: n}) }},
		{"gla", "HeadDim", []int{16, 32, 128}, func(n int) (nn.Layer, error) { return linattn.NewGLA(linattn.GLAConfig{DModel: d, HeadDim: n}) }},
		{"retnet", "HeadDim", []int{16, 32, 128}, func(n int) (nn.Layer, error) { return linattn.NewRetNet(linattn.RetNetConfig{DModel: d, HeadDim: n}) }},
		{"gateddeltanet", "HeadDim", []int{16, 32, 128}, func(n int) (nn.Layer, error) {
			return linattn.NewGatedDeltaNet(linattn.GatedDeltaNetConfig{DModel: d, HeadDim: n})
		}},
		{"based", "FeatureDim", []int{8, 16, 32}, func(n int) (nn.Layer, error) {
			return linattn.NewBased(linattn.BasedConfig{DModel: d, FeatureDim: n})
		}},
		{"gsa", "NumSlots", []int{16, 64}, func(n int) (nn.Layer, error) { return linattn.NewGSA(linattn.GSAConfig{DModel: d, NumSlots: n}) }},
		{"hgrn2", "HeadDim", []int{32, 64, 128}, func(n int) (nn.Layer, error) { return linattn.NewHGRN2(linattn.HGRN2Config{DModel: d, HeadDim: n}) }},
		{"window", "Window", []int{64, 256, 1024}, func(n int) (nn.Layer, error) {
			return linattn.NewAttention(linattn.AttentionConfig{DModel: d, Window: n, RopeBase: 10000})
		}},
	} {
		for _, n := range k.sizes {
			b.Run(fmt.Sprintf("layer=%s/d=%d/n=%d/%s=%d", k.name, d, length, k.what, n), func(b *testing.B) {
				l, err := k.make(n)
				pass{1, length, d, 1, false}.run(b, l, err)
			})
		}
	}
}

// Every layer at one size of small language models, one core: a whole
// sequence, the same with gradients, and a single token after it.
func BenchmarkLayers(b *testing.B) {
	width, n := size(768), size(2048)
	each(b, width, func(b *testing.B, k Kind, l nn.Layer, err error) {
		name := fmt.Sprintf("d=%d/n=%d/pass=", width, n)
		b.Run(name+"forward", func(b *testing.B) { pass{1, n, width, 1, false}.run(b, l, err) })
		b.Run(name+"train", func(b *testing.B) { pass{1, n, width, 1, true}.run(b, l, err) })
		b.Run(name+"decode", func(b *testing.B) { decode(b, k, l, err, 1, n, width) })
	})
}
