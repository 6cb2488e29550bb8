package main

import (
	"path/filepath"
	"testing"

	"github.com/subquad/subquad/lm"
)

// What narrowing costs two trained models on their own texts, in nats a
// position: bounds of about three times what was measured. All weights of the
// second are bfloat16 in its file; in the first the matrices wide enough for
// blocks of 256 are all but zero, so that only the second tells of those.
func TestKL(t *testing.T) {
	for name, bounds := range map[string]map[string]float64{
		"rwkv-4v0-660K": {"f32": 1e-15, "bf16": 1e-4, "f16": 2e-6, "q8_0": 3e-4, "q6_k": 1e-4, "q4_k": 2e-3, "q4_0": 0.1, "f32 high": 5e-10, "f32 medium": 1e-4, "bf16 medium": 1e-4, "q8_0 high": 3e-4, "q8_0 medium": 3e-4, "q4_0 medium": 0.1},
		"rwkv-7v0-834K": {"f32": 1e-15, "bf16": 1e-10, "f16": 2e-10, "q8_0": 2e-5, "q6_k": 1e-6, "q4_k": 1e-5, "q4_0": 4e-3, "f32 high": 5e-10, "f32 medium": 1e-4, "bf16 medium": 1e-4, "q8_0 high": 2e-5, "q8_0 medium": 3e-5, "q4_0 medium": 4e-3},
	} {
		rows, err := kl(func() (*lm.Model, error) {
			return lm.LoadRWKV(filepath.Join("..", "..", "lm", "testdata", name, "model.safetensors"))
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		printKL(t.Output(), rows)
		for _, r := range rows {
			if !(r.Mean > -1e-9 && r.Mean <= bounds[r.Type]) {
				t.Errorf("%s in %s: KL divergence %.2e, want at most %.1e", name, r.Type, r.Mean, bounds[r.Type])
			}
		}
	}
}

func TestKLText(t *testing.T) {
	if _, err := klText("kl.go", 50280); err == nil {
		t.Error("a text for a model that does not read bytes")
	}
	if _, err := klText("none", 256); err == nil {
		t.Error("a file that is not there")
	}
	if ids, err := klText("kl.go", 256); err != nil || string(rune(ids[0])) != "p" {
		t.Error(ids, err)
	}
	if ids, err := klText("self", 1000); err != nil || ids != nil {
		t.Error(ids, err)
	}
}
