package linattn_test

import (
	"testing"

	"github.com/subquad/subquad/internal/layertest"
	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
)

// Every layer that runs over scan.Matrix keeps the properties of a layer.
func TestLinearLayers(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(seed uint64) (nn.Layer, error)
	}{
		{"DeltaNet", func(seed uint64) (nn.Layer, error) {
			return linattn.NewDeltaNet(linattn.DeltaNetConfig{DModel: 8, NumHeads: 2, HeadDim: 3, ValueDim: 5, Seed: seed})
		}},
		{"DeltaNet negative", func(seed uint64) (nn.Layer, error) {
			return linattn.NewDeltaNet(linattn.DeltaNetConfig{DModel: 8, NumHeads: 2, ConvSize: -1, NegEigval: true, OutputGate: true, Seed: seed})
		}},
		{"GatedDeltaNet", func(seed uint64) (nn.Layer, error) {
			return linattn.NewGatedDeltaNet(linattn.GatedDeltaNetConfig{DModel: 8, NumHeads: 2, NumVHeads: 4, HeadDim: 3, ValueDim: 2, Seed: seed})
		}},
		{"KDA", func(seed uint64) (nn.Layer, error) {
			return linattn.NewKDA(linattn.KDAConfig{DModel: 8, NumHeads: 2, HeadDim: 3, ValueDim: 2, Seed: seed})
		}},
		{"KDA bounded", func(seed uint64) (nn.Layer, error) {
			return linattn.NewKDA(linattn.KDAConfig{DModel: 8, NumHeads: 1, NumVHeads: 2, HeadDim: 3, LowerBound: -5, NoGateBias: true, Seed: seed})
		}},
	} {
		layertest.Run(t, c.name, func(seed uint64) nn.Layer { return must(c.make(seed)) }, 8)
	}
}
