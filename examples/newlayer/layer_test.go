package main

import (
	"testing"

	"github.com/subquad/subquad/internal/layertest"
	"github.com/subquad/subquad/nn"
)

// One line gives the layer every property test of the module, at every
// instruction level: cut anywhere, packed and padded, batched, saved and
// restored, the same bits for any number of workers, gradients against
// differences, nothing allocated for a token.
func TestLeaky(t *testing.T) {
	layertest.Run(t, "Leaky", func(seed uint64) nn.Layer {
		l, err := NewLeaky(12, seed)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}, 12)
}

func TestRun(t *testing.T) {
	if err := run(3, 8); err != nil {
		t.Fatal(err)
	}
	if run(0, 8) == nil || run(3, 1) == nil {
		t.Error("bad flags are accepted")
	}
}
