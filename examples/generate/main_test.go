package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/subquad/subquad/lm"
)

func TestGenerate(t *testing.T) {
	var out, again strings.Builder
	c := settings{model: filepath.Join("..", "..", bundled), prompt: "The ", options: lm.Options{MaxTokens: 40, Sampler: &lm.Sampler{}}}
	for _, w := range []*strings.Builder{&out, &again} {
		if err := generate(context.Background(), w, c); err != nil {
			t.Fatal(err)
		}
	}
	text := func(b *strings.Builder) string { return strings.Split(b.String(), "\n\n")[1] }
	if !strings.HasPrefix(text(&out), "The ") || !strings.Contains(out.String(), "read 4 tokens") || !strings.Contains(out.String(), "wrote 40 ") {
		t.Errorf("output %q, want the prompt, 40 tokens and a line about them", out.String())
	}
	if text(&out) != text(&again) {
		t.Errorf("two runs without sampling gave %q and %q", text(&out), text(&again))
	}
}

// Where the bundled checkpoint is not found there are random weights: a test
// runs in its package's folder, from where the path leads nowhere.
func TestRandomWeights(t *testing.T) {
	var out strings.Builder
	c := settings{prompt: "The ", options: lm.Options{MaxTokens: 5}}
	if err := generate(context.Background(), &out, c); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "random weights") {
		t.Errorf("output %q does not say that weights are random", out.String())
	}
}

func TestErrors(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]settings{
		"no file":   {model: "nowhere.safetensors", prompt: "The "},
		"no prompt": {},
		"cancelled": {prompt: "The "},
	} {
		if err := generate(ctx, new(strings.Builder), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
