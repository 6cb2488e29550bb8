package bench

import (
	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/rwkv"
	"github.com/subquad/subquad/ssm"
)

// A Kind is a layer that is compared, at the defaults of its configuration.
type Kind struct {
	Name      string                            // in benchmarks, the report and docs/numerics.md
	Quadratic bool                              // time grows with the square of the length
	New       func(width int) (nn.Layer, error) // of width channels
}

// Kinds are all layers, softmax attention last. One line here puts a layer into
// every benchmark, the report and the table of errors.
var Kinds = []Kind{
	{Name: "s4", New: func(d int) (nn.Layer, error) { return ssm.NewS4(ssm.S4Config{DModel: d}) }},
	{Name: "s4d", New: func(d int) (nn.Layer, error) { return ssm.NewS4D(ssm.S4DConfig{DModel: d}) }},
	{Name: "dss", New: func(d int) (nn.Layer, error) { return ssm.NewDSS(ssm.DSSConfig{DModel: d}) }},
	{Name: "h3", New: func(d int) (nn.Layer, error) { return ssm.NewH3(ssm.H3Config{DModel: d}) }},
	{Name: "hyena", New: func(d int) (nn.Layer, error) { return ssm.NewHyena(ssm.HyenaConfig{DModel: d}) }},
	{Name: "s5", New: func(d int) (nn.Layer, error) { return ssm.NewS5(ssm.S5Config{DModel: d}) }},
	{Name: "lru", New: func(d int) (nn.Layer, error) { return ssm.NewLRU(ssm.LRUConfig{DModel: d}) }},
	{Name: "rglru", New: func(d int) (nn.Layer, error) { return ssm.NewRGLRU(ssm.RGLRUConfig{DModel: d}) }},
	{Name: "mamba", New: func(d int) (nn.Layer, error) { return ssm.NewMamba(ssm.MambaConfig{DModel: d}) }},
	{Name: "mamba2", New: func(d int) (nn.Layer, error) { return ssm.NewMamba2(ssm.Mamba2Config{DModel: d}) }},
	{Name: "mamba3", New: func(d int) (nn.Layer, error) { return ssm.NewMamba3(ssm.Mamba3Config{DModel: d}) }},
	{Name: "mamba3mimo", New: func(d int) (nn.Layer, error) { return ssm.NewMamba3(ssm.Mamba3Config{DModel: d, Rank: 4}) }},
	{Name: "rwkv4", New: func(d int) (nn.Layer, error) { return rwkv.NewTimeMix4(rwkv.Config4{DModel: d}) }},
	{Name: "rwkv5", New: func(d int) (nn.Layer, error) { return rwkv.NewTimeMix5(rwkv.Config56{DModel: d}) }},
	{Name: "rwkv6", New: func(d int) (nn.Layer, error) { return rwkv.NewTimeMix6(rwkv.Config56{DModel: d}) }},
	{Name: "rwkv7", New: func(d int) (nn.Layer, error) { return rwkv.NewTimeMix7(rwkv.Config7{DModel: d}) }},
	{Name: "rwkvq6", New: func(d int) (nn.Layer, error) {
		return rwkv.NewTimeMixQ6(rwkv.ConfigConverted{DModel: d, HeadDim: 64})
	}},
	{Name: "rwkvq7", New: func(d int) (nn.Layer, error) {
		return rwkv.NewTimeMixQ7(rwkv.ConfigConverted{DModel: d, HeadDim: 64})
	}},
	{Name: "linear", New: func(d int) (nn.Layer, error) {
		return linattn.NewLinearAttention(linattn.LinearAttentionConfig{DModel: d})
	}},
	{Name: "rebased", New: func(d int) (nn.Layer, error) { return linattn.NewRebased(linattn.RebasedConfig{DModel: d}) }},
	{Name: "lightning", New: func(d int) (nn.Layer, error) { return linattn.NewLightning(linattn.LightningConfig{DModel: d}) }},
	{Name: "retnet", New: func(d int) (nn.Layer, error) { return linattn.NewRetNet(linattn.RetNetConfig{DModel: d}) }},
	{Name: "gla", New: func(d int) (nn.Layer, error) { return linattn.NewGLA(linattn.GLAConfig{DModel: d}) }},
	{Name: "simplegla", New: func(d int) (nn.Layer, error) { return linattn.NewSimpleGLA(linattn.SimpleGLAConfig{DModel: d}) }},
	{Name: "hgrn", New: func(d int) (nn.Layer, error) { return linattn.NewHGRN(linattn.HGRNConfig{DModel: d}) }},
	{Name: "hgrn2", New: func(d int) (nn.Layer, error) { return linattn.NewHGRN2(linattn.HGRN2Config{DModel: d}) }},
	{Name: "deltanet", New: func(d int) (nn.Layer, error) { return linattn.NewDeltaNet(linattn.DeltaNetConfig{DModel: d}) }},
	{Name: "gateddeltanet", New: func(d int) (nn.Layer, error) { return linattn.NewGatedDeltaNet(linattn.GatedDeltaNetConfig{DModel: d}) }},
	{Name: "deltaproduct", New: func(d int) (nn.Layer, error) {
		return linattn.NewDeltaProduct(linattn.DeltaProductConfig{DModel: d})
	}},
	{Name: "dplr", New: func(d int) (nn.Layer, error) { return linattn.NewDPLR(linattn.DPLRConfig{DModel: d}) }},
	{Name: "loglinear", New: func(d int) (nn.Layer, error) { return linattn.NewLogLinearMamba2(linattn.LogLinearConfig{DModel: d}) }},
	{Name: "gsa", New: func(d int) (nn.Layer, error) { return linattn.NewGSA(linattn.GSAConfig{DModel: d}) }},
	{Name: "kda", New: func(d int) (nn.Layer, error) { return linattn.NewKDA(linattn.KDAConfig{DModel: d}) }},
	{Name: "based", New: func(d int) (nn.Layer, error) { return linattn.NewBased(linattn.BasedConfig{DModel: d}) }},
	{Name: "baseconv", New: func(d int) (nn.Layer, error) { return linattn.NewBaseConv(linattn.BaseConvConfig{DModel: d}) }},
	{Name: "window", New: func(d int) (nn.Layer, error) {
		return linattn.NewAttention(linattn.AttentionConfig{DModel: d, Window: 64, RopeBase: 10000})
	}},
	{Name: "softmax", Quadratic: true, New: func(d int) (nn.Layer, error) {
		return linattn.NewAttention(linattn.AttentionConfig{DModel: d, RopeBase: 10000})
	}},
}
