package ssm_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/internal/layertest"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

func must(l nn.Layer, err error) nn.Layer {
	if err != nil {
		panic(err)
	}
	return l
}

func TestLayers(t *testing.T) {
	layertest.Run(t, "Mamba", func(seed uint64) nn.Layer {
		return must(ssm.NewMamba(ssm.MambaConfig{DModel: 10, DState: 5, DtRank: 3, Bias: true, Seed: seed}))
	}, 10)
	layertest.Run(t, "Mamba groups", func(seed uint64) nn.Layer {
		return must(ssm.NewMamba(ssm.MambaConfig{DModel: 6, DState: 4, Groups: 3, Norm: ssm.WeightedNorm, Seed: seed}))
	}, 6)
	for name, norm := range map[string]ssm.MambaNorm{"Falcon-Mamba": ssm.PlainNorm, "Jamba": ssm.WeightedNorm} {
		layertest.Run(t, name, func(seed uint64) nn.Layer {
			return must(ssm.NewMamba(ssm.MambaConfig{DModel: 6, DState: 5, DtRank: 3, Norm: norm, Seed: seed}))
		}, 6)
	}
	for name, c := range map[string]ssm.Mamba2Config{
		"Mamba2":       {DModel: 8, DState: 6, HeadDim: 4, Groups: 2},
		"Mamba2 whole": {DModel: 6, DState: 5, HeadDim: 3, Groups: 2, FullNorm: true, NormBeforeGate: true, DPerChannel: true, DtLimitMin: 0.01, DtLimitMax: 0.2, Bias: true, NoConvBias: true},
		"Mamba2 gate":  {DModel: 6, DState: 5, DInner: 16, DSSM: 12, HeadDim: 3, NoNorm: true},
	} {
		layertest.Run(t, name, func(seed uint64) nn.Layer {
			c.Seed = seed
			return must(ssm.NewMamba2(c))
		}, c.DModel)
	}
	layertest.Run(t, "Hyena", func(seed uint64) nn.Layer {
		return must(ssm.NewHyena(ssm.HyenaConfig{DModel: 6, Length: 24, EmbDim: 5, Order: 7, InnerMLPs: 1, SineFreq: 2, Seed: seed}))
	}, 6)
	for name, d := range map[string]int{"H3": 1, "H3 heads": 2} {
		layertest.Run(t, name, func(seed uint64) nn.Layer {
			return must(ssm.NewH3(ssm.H3Config{DModel: 6, DState: 8, HeadDim: d, DtMin: 0.01, DtMax: 0.2, Seed: seed}))
		}, 6)
	}
	layertest.Run(t, "DSS", func(seed uint64) nn.Layer {
		return must(ssm.NewDSS(ssm.DSSConfig{DModel: 6, DState: 5, DtMin: 0.01, DtMax: 0.2, Seed: seed}))
	}, 6)
	for name, c := range map[string]ssm.Mamba3Config{
		"Mamba3":           {DModel: 8, DState: 6, HeadDim: 4, Groups: 2},
		"Mamba3 softplus":  {DModel: 6, DState: 4, HeadDim: 3, RopeFraction: 1, SoftplusA: true, OutNorm: true, Bias: true},
		"Mamba3 MIMO":      {DModel: 4, DState: 4, HeadDim: 4, Groups: 2, Rank: 3},
		"Mamba3 MIMO norm": {DModel: 3, DState: 4, HeadDim: 6, Rank: 2, RopeFraction: 1, OutNorm: true},
	} {
		layertest.Run(t, name, func(seed uint64) nn.Layer {
			c.Seed = seed
			return must(ssm.NewMamba3(c))
		}, c.DModel)
	}
	for name, L := range map[string]int{"S4": 0, "S4 folded": 12} {
		layertest.Run(t, name, func(seed uint64) nn.Layer {
			return must(ssm.NewS4(ssm.S4Config{DModel: 6, DState: 8, Sets: 3, DtMin: 0.01, DtMax: 0.2, KernelLength: L, Seed: seed}))
		}, 6)
	}
	layertest.Run(t, "LRU", func(seed uint64) nn.Layer {
		return must(ssm.NewLRU(ssm.LRUConfig{DModel: 6, DState: 5, Seed: seed}))
	}, 6)
	for name, d := range map[string]ssm.Discretization{"S5": ssm.ZOH, "S5 bilinear": ssm.Bilinear} {
		layertest.Run(t, name, func(seed uint64) nn.Layer {
			return must(ssm.NewS5(ssm.S5Config{DModel: 6, DState: 12, Blocks: 2, Discretization: d, DtMin: 0.01, ClipEigs: true, Seed: seed}))
		}, 6)
	}
	layertest.Run(t, "RG-LRU", func(seed uint64) nn.Layer {
		return must(ssm.NewRGLRU(ssm.RGLRUConfig{DModel: 6, Width: 8, Heads: 2, Seed: seed}))
	}, 6)
	layertest.Run(t, "S4D", func(seed uint64) nn.Layer {
		return must(ssm.NewS4D(ssm.S4DConfig{DModel: 6, DState: 8, DtMin: 0.01, DtMax: 0.2, Seed: seed}))
	}, 6)
	layertest.Run(t, "S4D bilinear", func(seed uint64) nn.Layer {
		return must(ssm.NewS4D(ssm.S4DConfig{DModel: 6, DState: 8, Init: ssm.S4DLegS, Discretization: ssm.Bilinear, DtMin: 0.01, DtMax: 0.2, Seed: seed}))
	}, 6)
}

// The recurrence is the convolution with the kernel.
func TestKernelIsTheImpulseResponse(t *testing.T) {
	for _, c := range []ssm.S4DConfig{{}, {Init: ssm.S4DInv}, {Init: ssm.S4DLegS, Discretization: ssm.Bilinear}, {Init: ssm.S4DReal}} {
		c.DModel, c.DState, c.DtMin = 5, 8, 0.01
		l, err := ssm.NewS4D(c)
		if err != nil {
			t.Fatal(err)
		}
		clear(l.D.Data())
		const T = 50
		u := tensor.New(1, T, 5)
		for i := range 5 {
			u.Data()[i] = 1
		}
		k, y := l.Kernel(nil, T), l.SSM(u, nil)
		if e := gradcheck.Difference(y.Float64s(), k.Float64s()); !(e <= 2e-6) {
			t.Errorf("%+v: the response to an impulse differs from the kernel by %.2g", c, e)
		}
		gradcheck.Check(t, fmt.Sprintf("kernel %+v", c), []*tensor.Tensor{l.InvDt, l.AReal, l.AImag, l.B, l.C},
			func(s *tensor.Scope) *tensor.Tensor { return l.Kernel(s, 9) }, 0)
	}
}

// The frequencies of HiPPO-LegS for N = 4 and 8, from state-spaces/s4.
func TestLegSFrequencies(t *testing.T) {
	l, err := ssm.NewS4D(ssm.S4DConfig{DModel: 1, DState: 4, Init: ssm.S4DLegS})
	if err != nil {
		t.Fatal(err)
	}
	// The skew part's squared frequencies: sum = Σ_{i<j} (2i+1)(2j+1)/4 = 86/4.
	a, b := l.AImag.At(0, 0), l.AImag.At(0, 1)
	if sum := a*a + b*b; math.Abs(sum-86.0/4) > 1e-4 {
		t.Errorf("squared frequencies sum to %v, want %v", sum, 86.0/4)
	}
	if !(a < b) {
		t.Errorf("frequencies %v, %v are not ascending", a, b)
	}
}

func TestBadConfigs(t *testing.T) {
	err := func(_ any, err error) error { return err }
	for _, c := range []struct {
		err  error
		want string
	}{
		{err(ssm.NewMamba(ssm.MambaConfig{})), "DModel 0"},
		{err(ssm.NewMamba(ssm.MambaConfig{DModel: 8, Expand: -1})), "Expand -1"},
		{err(ssm.NewMamba(ssm.MambaConfig{DModel: 1 << 30})), "DModel 1073741824"},
		{err(ssm.NewMamba(ssm.MambaConfig{DModel: 8, DState: -2})), "DState -2"},
		{err(ssm.NewMamba(ssm.MambaConfig{DModel: 8, DConv: 5000})), "DConv 5000"},
		{err(ssm.NewMamba(ssm.MambaConfig{DModel: 8, DtRank: -1})), "DtRank -1"},
		{err(ssm.NewMamba(ssm.MambaConfig{DModel: 8, DtMin: 1, DtMax: 0.5})), "DtMin 1, DtMax 0.5"},
		{err(ssm.NewMamba(ssm.MambaConfig{DModel: 8, DtMin: math.NaN()})), "DtMin NaN"},
		{err(ssm.NewMamba(ssm.MambaConfig{DModel: 8, Norm: 7})), "Norm 7"},
		{err(ssm.NewMamba(ssm.MambaConfig{DModel: 8, Groups: 3})), "Groups 3"},
		{err(ssm.NewMamba2(ssm.Mamba2Config{})), "DModel 0"},
		{err(ssm.NewMamba2(ssm.Mamba2Config{DModel: 24})), "HeadDim 64"},
		{err(ssm.NewMamba2(ssm.Mamba2Config{DModel: 64, Groups: 3})), "Groups 3"},
		{err(ssm.NewMamba2(ssm.Mamba2Config{DModel: 64, DState: -1})), "DState -1"},
		{err(ssm.NewMamba2(ssm.Mamba2Config{DModel: 64, DSSM: 500})), "DSSM 500"},
		{err(ssm.NewMamba2(ssm.Mamba2Config{DModel: 64, DConv: -3})), "DConv -3"},
		{err(ssm.NewMamba2(ssm.Mamba2Config{DModel: 64, AMin: -3})), "AMin -3"},
		{err(ssm.NewMamba2(ssm.Mamba2Config{DModel: 64, DtLimitMin: 1, DtLimitMax: 0.5})), "DtLimitMin 1"},
		{err(ssm.NewMamba3(ssm.Mamba3Config{})), "DModel 0"},
		{err(ssm.NewMamba3(ssm.Mamba3Config{DModel: 64, DState: 7})), "DState 7"},
		{err(ssm.NewMamba3(ssm.Mamba3Config{DModel: 64, Rank: -1})), "Rank -1"},
		{err(ssm.NewMamba3(ssm.Mamba3Config{DModel: 64, RopeFraction: 2})), "RopeFraction 2"},
		{err(ssm.NewH3(ssm.H3Config{})), "DModel 0"},
		{err(ssm.NewH3(ssm.H3Config{DModel: 6, HeadDim: 4})), "HeadDim 4"},
		{err(ssm.NewDSS(ssm.DSSConfig{})), "DModel 0"},
		{err(ssm.NewDSS(ssm.DSSConfig{DModel: 4, DState: -1})), "DState -1"},
		{err(ssm.NewDSS(ssm.DSSConfig{DModel: 4, DtMin: 1, DtMax: 0.1})), "DtMin 1"},
		{err(ssm.NewLRU(ssm.LRUConfig{})), "DModel 0"},
		{err(ssm.NewLRU(ssm.LRUConfig{DModel: 4, DState: -1})), "DState -1"},
		{err(ssm.NewLRU(ssm.LRUConfig{DModel: 4, RMax: 1})), "RMax 1"},
		{err(ssm.NewLRU(ssm.LRUConfig{DModel: 4, MaxPhase: -1})), "MaxPhase -1"},
		{err(ssm.NewS5(ssm.S5Config{})), "DModel 0"},
		{err(ssm.NewS5(ssm.S5Config{DModel: 4, DState: 6, Blocks: 2})), "Blocks 2"},
		{err(ssm.NewS5(ssm.S5Config{DModel: 4, Discretization: 7})), "Discretization 7"},
		{err(ssm.NewS5(ssm.S5Config{DModel: 4, DtMin: 2})), "DtMin 2"},
		{err(ssm.NewRGLRU(ssm.RGLRUConfig{})), "DModel 0"},
		{err(ssm.NewRGLRU(ssm.RGLRUConfig{DModel: 8, Heads: 3})), "Heads 3"},
		{err(ssm.NewRGLRU(ssm.RGLRUConfig{DModel: 8, DConv: -1})), "DConv -1"},
		{err(ssm.NewRGLRU(ssm.RGLRUConfig{DModel: 8, OutScale: -1})), "OutScale -1"},
		{err(ssm.NewS4(ssm.S4Config{})), "DModel 0"},
		{err(ssm.NewS4(ssm.S4Config{DModel: 4, DState: 7})), "DState 7"},
		{err(ssm.NewS4(ssm.S4Config{DModel: 4, Sets: 3})), "Sets 3"},
		{err(ssm.NewS4(ssm.S4Config{DModel: 4, DtMin: -1})), "DtMin -1"},
		{err(ssm.NewS4(ssm.S4Config{DModel: 4, KernelLength: -1})), "KernelLength -1"},
		{err(ssm.NewS4D(ssm.S4DConfig{})), "DModel 0"},
		{err(ssm.NewS4D(ssm.S4DConfig{DModel: 4, DState: 7})), "DState 7"},
		{err(ssm.NewS4D(ssm.S4DConfig{DModel: 4, Init: 9})), "Init 9"},
		{err(ssm.NewS4D(ssm.S4DConfig{DModel: 4, DtMax: math.Inf(1)})), "DtMax +Inf"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error is %v, want one with %q", c.err, c.want)
		}
	}
}

// The authors' initialisation: steps within their range, A = −1 … −N.
func TestMambaInitialisation(t *testing.T) {
	m, err := ssm.NewMamba(ssm.MambaConfig{DModel: 64, DState: 4})
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range m.Dt.Bias.Float64s() {
		if dt := math.Log1p(math.Exp(b)); dt < 0.00099 || dt > 0.101 {
			t.Fatalf("step %d is %v, want 0.001 to 0.1", i, dt)
		}
	}
	for i, a := range m.ALog.Float64s() {
		if want := float64(i%4 + 1); math.Abs(math.Exp(a)-want) > 1e-6 {
			t.Fatalf("A[%d] is −%v, want −%v", i, math.Exp(a), want)
		}
	}
	if R := m.Dt.Weight.Dim(1); R != 4 {
		t.Errorf("DtRank is %d, want 4", R)
	}
}
