package main

import (
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// Whole, in pieces, and token by token give the same, with the state saved and restored between.
func TestForms(t *testing.T) {
	const width, length = 16, 90
	h, err := newHybrid(width, 7, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	x := nn.Normal(nn.NewRNG(4), 1, 2, length, width)
	whole := h.Forward(x, nil)
	for _, n := range []int{1, 13} {
		st := h.NewState(2)
		for lo := 0; lo < length; lo += n {
			hi := min(lo+n, length)
			y := tensor.Contiguous(h.Forward(x.Narrow(1, lo, hi), st)).Data()
			for i, want := range tensor.Contiguous(whole.Narrow(1, lo, hi)).Data() {
				if d := math.Abs(float64(y[i] - want)); !(d < 2e-5) {
					t.Fatalf("pieces of %d, from token %d: %g, want %g", n, lo, y[i], want)
				}
			}
			data, err := st.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			st = h.NewState(2)
			if err := st.UnmarshalBinary(data); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Every line of the table has the same state.
func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(&out, settings{tokens: 20000, width: 8, window: 16, depth: 1, seed: 1, progress: io.Discard}); err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^ +(\d+) +[0-9.]+ +[0-9.]+ +(\d+) `).FindAllStringSubmatch(out.String(), -1)
	if len(rows) != 4 || rows[3][1] != "20000" {
		t.Fatalf("output %q: want 4 rows, the last of 20000 tokens", out.String())
	}
	for _, r := range rows {
		if r[2] != rows[0][2] {
			t.Errorf("a state of %s bytes after %s tokens, %s after %s: want the same", r[2], r[1], rows[0][2], rows[0][1])
		}
	}
}

func TestErrors(t *testing.T) {
	good := settings{tokens: 1024, width: 8, window: 16, depth: 1, progress: io.Discard}
	for name, spoil := range map[string]func(c *settings){
		"tokens": func(c *settings) { c.tokens = 1 },
		"width":  func(c *settings) { c.width = 0 },
		"odd":    func(c *settings) { c.width = 7 }, // rotary positions turn pairs of channels
		"window": func(c *settings) { c.window = 0 },
		"depth":  func(c *settings) { c.depth = -1 },
	} {
		c := good
		spoil(&c)
		if err := run(io.Discard, c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
