package bench

import (
	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/rwkv"
	"github.com/subquad/subquad/ssm"
)

// A Kind is a layer that is compared.
type Kind struct {
	Name      string
	Quadratic bool // time grows with the square of the length
	New       func(width int) (nn.Layer, error)
}

// Kinds are all layers, softmax attention last.
var Kinds = []Kind{
	{Name: "mamba", New: func(d int) (nn.Layer, error) { return ssm.NewMamba(ssm.MambaConfig{DModel: d}) }},
	{Name: "mamba2", New: func(d int) (nn.Layer, error) { return ssm.NewMamba2(ssm.Mamba2Config{DModel: d}) }},
	{Name: "s4d", New: func(d int) (nn.Layer, error) { return ssm.NewS4D(ssm.S4DConfig{DModel: d}) }},
	{Name: "rwkv4", New: func(d int) (nn.Layer, error) { return rwkv.NewTimeMix4(rwkv.Config4{DModel: d}) }},
	{Name: "rwkv7", New: func(d int) (nn.Layer, error) { return rwkv.NewTimeMix7(rwkv.Config7{DModel: d}) }},
	{Name: "based", New: func(d int) (nn.Layer, error) { return linattn.NewBased(linattn.BasedConfig{DModel: d}) }},
	{Name: "baseconv", New: func(d int) (nn.Layer, error) { return linattn.NewBaseConv(linattn.BaseConvConfig{DModel: d}) }},
	{Name: "window", New: func(d int) (nn.Layer, error) {
		return linattn.NewAttention(linattn.AttentionConfig{DModel: d, Window: 64, RopeBase: 10000})
	}},
	{Name: "softmax", Quadratic: true, New: func(d int) (nn.Layer, error) {
		return linattn.NewAttention(linattn.AttentionConfig{DModel: d, RopeBase: 10000})
	}},
}
