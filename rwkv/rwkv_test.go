package rwkv_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/subquad/subquad/internal/layertest"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/rwkv"
	"github.com/subquad/subquad/tensor"
)

// shaken replaces the zero matrices of a fresh layer, which would hide what is
// before them, by small random ones.
func shaken(l nn.Layer, err error) nn.Layer {
	if err != nil {
		panic(err)
	}
	rng := nn.NewRNG(99)
	for _, p := range l.Params() {
		zero := true
		for _, v := range p.Data() {
			zero = zero && v == 0
		}
		if zero {
			p.SetFrom(nn.Normal(rng, 0.3, p.Shape()...))
		}
	}
	return l
}

func TestLayers(t *testing.T) {
	layertest.Run(t, "TimeMix4", func(seed uint64) nn.Layer {
		return shaken(rwkv.NewTimeMix4(rwkv.Config4{DModel: 12, DAttn: 20, Layer: 1, NumLayers: 3, Seed: seed}))
	}, 12)
	layertest.Run(t, "ChannelMix4", func(seed uint64) nn.Layer {
		return shaken(rwkv.NewChannelMix4(rwkv.Config4{DModel: 12, DFF: 20, Layer: 1, NumLayers: 3, Seed: seed}))
	}, 12)
	for name, cfg := range map[string]rwkv.Config56{"TimeMix5.0": {PerHead: true, NoGate: true}, "TimeMix5.1": {PerHead: true}, "TimeMix5.2": {}} {
		layertest.Run(t, name, func(seed uint64) nn.Layer {
			cfg.DModel, cfg.HeadDim, cfg.Layer, cfg.NumLayers, cfg.Seed = 12, 6, 1, 3, seed
			return shaken(rwkv.NewTimeMix5(cfg))
		}, 12)
	}
	layertest.Run(t, "TimeMix6", func(seed uint64) nn.Layer {
		return shaken(rwkv.NewTimeMix6(rwkv.Config56{DModel: 12, HeadDim: 6, MixRank: 3, DecayRank: 4, Layer: 1, NumLayers: 3, Seed: seed}))
	}, 12)
	layertest.Run(t, "ChannelMix6", func(seed uint64) nn.Layer {
		return shaken(rwkv.NewChannelMix6(rwkv.Config56{DModel: 12, HeadDim: 6, DFF: 20, Layer: 1, NumLayers: 3, Seed: seed}))
	}, 12)
	layertest.Run(t, "TimeMix7", func(seed uint64) nn.Layer {
		return shaken(rwkv.NewTimeMix7(rwkv.Config7{DModel: 12, HeadDim: 6, Layer: 1, NumLayers: 3, DecayRank: 3, RateRank: 4, ValueRank: 2, GateRank: 5, Seed: seed}))
	}, 12)
	layertest.Run(t, "ChannelMix7", func(seed uint64) nn.Layer {
		return shaken(rwkv.NewChannelMix7(rwkv.Config7{DModel: 12, HeadDim: 6, DFF: 20, Layer: 1, NumLayers: 3, Seed: seed}))
	}, 12)
}

func TestBadConfigs(t *testing.T) {
	err := func(_ any, err error) error { return err }
	for _, c := range []struct {
		err  error
		want string
	}{
		{err(rwkv.NewTimeMix4(rwkv.Config4{})), "DModel 0"},
		{err(rwkv.NewTimeMix4(rwkv.Config4{DModel: 8, DAttn: -1})), "DAttn -1"},
		{err(rwkv.NewTimeMix4(rwkv.Config4{DModel: 1 << 20})), "DModel 1048576"},
		{err(rwkv.NewChannelMix4(rwkv.Config4{DModel: 8, Layer: 2, NumLayers: 2})), "Layer 2 of NumLayers 2"},
		{err(rwkv.NewTimeMix5(rwkv.Config56{DModel: 65})), "HeadDim 64, DModel 65"},
		{err(rwkv.NewTimeMix6(rwkv.Config56{DModel: 64, MixRank: -1})), "MixRank -1"},
		{err(rwkv.NewTimeMix6(rwkv.Config56{DModel: 64, NormEps: -1})), "NormEps -1"},
		{err(rwkv.NewTimeMix7(rwkv.Config7{DModel: 65})), "not a multiple of HeadDim 64"},
		{err(rwkv.NewTimeMix7(rwkv.Config7{DModel: 64, HeadDim: -1})), "HeadDim -1"},
		{err(rwkv.NewTimeMix7(rwkv.Config7{DModel: 64, GateRank: -3})), "rank -3"},
		{err(rwkv.NewTimeMix7(rwkv.Config7{DModel: 64, NormEps: math.NaN()})), "NormEps NaN"},
		{err(rwkv.NewChannelMix7(rwkv.Config7{DModel: 64, DFF: -1})), "DFF -1"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error is %v, want one with %q", c.err, c.want)
		}
	}
}

// The author's initialisation of the first layer of three, worked out from its formulas.
func TestInitialisation(t *testing.T) {
	m, err := rwkv.NewTimeMix7(rwkv.Config7{DModel: 128, NumLayers: 3})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"w0":  -6 + 0.5 - 2.5, // the first channel of the first layer: the least decay, zigzag −1
		"a0":  -0.19 - 0.3 - 0.2,
		"v0":  0.73 + 0.2,
		"k_k": 0.71 + 0.05,
		"x_r": 1, // 1 − 0^0.2
	} {
		p, ok := m.Params().Find(name)
		if !ok || math.Abs(p.At(0)-want) > 1e-6 {
			t.Errorf("%s[0] is %v, want %v", name, p.At(0), want)
		}
	}
	for name, rank := range map[string]int{"w1": 32, "a1": 32, "v1": 32, "g1": 64} {
		if p, _ := m.Params().Find(name); p.Dim(1) != rank {
			t.Errorf("%s has rank %d, want %d", name, p.Dim(1), rank)
		}
	}
	// w2 has orthogonal rows of length 0.1.
	w2, _ := m.Params().Find("w2")
	for i := range 3 {
		for j := range 3 {
			dot, want := 0.0, 0.0
			for c := range 128 {
				dot += w2.At(i, c) * w2.At(j, c)
			}
			if i == j {
				want = 0.01
			}
			if math.Abs(dot-want) > 1e-7 {
				t.Errorf("rows %d and %d of w2: inner product %v, want %v", i, j, dot, want)
			}
		}
	}
}

func ExampleNewTimeMix7() {
	m, err := rwkv.NewTimeMix7(rwkv.Config7{DModel: 128})
	if err != nil {
		fmt.Println(err)
		return
	}
	st := m.NewState(1)
	m.Forward(tensor.New(1, 1000, 128), st)    // a prompt
	y := m.Forward(tensor.New(1, 1, 128), st)  // one more token
	fmt.Println(y.Shape(), st.Pos, st.Bytes()) // the state's size does not depend on how many
	// Output: [1 1 128] [1001] 33288
}

func ExampleNewTimeMix4() {
	m, err := rwkv.NewTimeMix4(rwkv.Config4{DModel: 64})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Forward(tensor.New(2, 10, 64), nil).Shape(), m.NewState(2).Bytes())
	// Output: [2 10 64] 2064
}
