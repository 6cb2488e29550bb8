// Generate streams text from a language model and says how fast.
//
//	go run ./examples/generate
//	go run ./examples/generate -model DIR -prompt "The sea " -tokens 500
//
// Without -model it takes the small trained checkpoint that the tests of lm
// use, and where that is not found, a model with random weights.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/subquad/subquad/lm"
	"github.com/subquad/subquad/lm/tokenizer"
)

// bundled is trained on English text, an id for each byte, and lies in the repository.
const bundled = "lm/testdata/rwkv-4v0-660K"

type settings struct {
	model, prompt string
	options       lm.Options
}

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "Generate streams text from a byte-level RWKV checkpoint, with the speed of reading and writing.\n\n")
		flag.PrintDefaults()
	}
	var c settings
	sampler := &lm.Sampler{TopP: 0.9}
	c.options.Sampler = sampler
	flag.StringVar(&c.model, "model", "", "safetensors file or folder; empty means "+bundled+", or random weights if that is not here")
	flag.StringVar(&c.prompt, "prompt", "The light that comes from the ", "text to continue")
	flag.IntVar(&c.options.MaxTokens, "tokens", 300, "tokens to generate")
	flag.IntVar(&c.options.Workers, "workers", 0, "goroutines to compute with; 0 lets the model choose")
	flag.Float64Var(&sampler.Temperature, "temperature", 0.6, "0 always takes the likeliest token")
	flag.Uint64Var(&sampler.Seed, "seed", 1, "of sampling")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := generate(ctx, os.Stdout, c); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// load gives the model and what to call it.
func load(path string) (*lm.Model, string, error) {
	if path != "" {
		m, err := lm.LoadRWKV(path)
		return m, path, err
	}
	if _, err := os.Stat(bundled); err == nil {
		m, err := lm.LoadRWKV(bundled)
		return m, filepath.Base(bundled), err
	}
	m, err := lm.NewRWKV(lm.RWKVConfig{Version: 7, Vocab: 256, DModel: 256, NumLayers: 4})
	return m, "random weights, which write noise: run this in the repository's root or give -model", err
}

func generate(ctx context.Context, w io.Writer, c settings) error {
	m, name, err := load(c.model)
	if err != nil {
		return err
	}
	var tok tokenizer.Bytes
	if m.Vocab() != tok.Size() {
		return fmt.Errorf("%s has a vocabulary of %d: this example reads byte-level models, of %d", name, m.Vocab(), tok.Size())
	}
	fmt.Fprintf(w, "%s: %s, %.1f million weights\n\n", m.Arch, name, float64(m.Params().Count())/1e6)

	out := bufio.NewWriter(w)
	defer out.Flush()
	out.WriteString(c.prompt)
	ids, st := tok.Encode(c.prompt), m.NewState(1)
	var first time.Duration // until the first token: the prompt is read
	start, n := time.Now(), 0
	for id, err := range m.Generate(ctx, ids, st, c.options) {
		if err != nil {
			out.WriteByte('\n')
			return err
		}
		if n++; n == 1 {
			first = time.Since(start)
		}
		out.Write(tok.Append(nil, id))
		out.Flush() // a token at a time, as it comes
	}
	writing := time.Since(start) - first
	fmt.Fprintf(out, "\n\nread %d tokens in %.1f ms (%.0f a second), wrote %d (%.0f a second); state %.1f kB, the same after a million\n",
		len(ids), 1e3*first.Seconds(), float64(len(ids))/first.Seconds(), n, float64(n-1)/writing.Seconds(), float64(st.Bytes())/1e3)
	return nil
}
