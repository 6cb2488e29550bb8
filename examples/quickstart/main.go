// Quickstart runs a real text through one block of each family, shows what a
// token costs as the text gets longer, and that a text cut into pieces gives
// what the whole gives.
//
//	go run ./examples/quickstart
//	go run ./examples/quickstart -model DIR -prompt "The sea "
package main

import (
	"bufio"
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"text/tabwriter"
	"time"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/lm"
	"github.com/subquad/subquad/lm/tokenizer"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/rwkv"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

// Newton's Opticks, the first definitions: in the public domain.
//
//go:embed opticks.txt
var text []byte

var (
	width   = flag.Int("width", 128, "channels of a block, a multiple of 64")
	longest = flag.Int("longest", 16384, "longest text, in bytes; lengths double from 256")
	workers = flag.Int("workers", 0, "goroutines to compute with; 0 means one for each core")
	model   = flag.String("model", "", "generate with this RWKV checkpoint (safetensors file or folder, byte-level) instead")
	prompt  = flag.String("prompt", "The ", "with -model: the text to continue")
	tokens  = flag.Int("tokens", 200, "with -model: how many tokens to generate")
	temp    = flag.Float64("temperature", 0.8, "with -model: 0 always takes the likeliest token")
	seed    = flag.Uint64("seed", 1, "of the weights, and of sampling")
)

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "Quickstart compares one block of each family on a real text, or generates text from a checkpoint.\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	run := compare
	if *model != "" {
		run = generate
	}
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

type named struct {
	name  string
	block block
}

// blocks makes one layer of each kind, of the same width.
func blocks(width int) ([]named, error) {
	mamba, err1 := ssm.NewMamba(ssm.MambaConfig{DModel: width, Seed: *seed})
	wkv, err2 := rwkv.NewTimeMix7(rwkv.Config7{DModel: width, Seed: *seed})
	based, err3 := linattn.NewBasedStack(linattn.BasedStackConfig{DModel: width, Seed: *seed})
	softmax, err4 := linattn.NewAttention(linattn.AttentionConfig{DModel: width, RopeBase: 10000, Seed: *seed})
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return nil, err
		}
	}
	// RWKV starts out as the identity: its output matrix is zero. Give it something to show.
	wkv.Output.Weight.SetFrom(nn.Normal(nn.NewRNG(*seed), 1/math.Sqrt(float64(width)), width, width))
	return []named{{"Mamba", block{mamba}}, {"RWKV-7", block{wkv}}, {"Based", block{based}}, {"softmax attention", block{softmax}}}, nil
}

// A block is x + layer(norm(x)), as every model stacks its layers.
type block struct{ nn.Layer }

func (b block) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	return tensor.Add(x, b.Layer.Forward(tensor.RMSNorm(x, nil, 1e-5), st))
}

func compare(w io.Writer) error {
	list, err := blocks(*width)
	if err != nil {
		return err
	}
	if *longest < 256 || *longest > len(text) {
		return fmt.Errorf("-longest %d: want 256 to %d, the bytes of the text", *longest, len(text))
	}
	embedding := nn.Normal(nn.NewRNG(*seed), 1, 256, *width)
	ids := tokenizer.Bytes{}.Encode(string(text))
	fmt.Fprintf(w, "One block of %d channels over the first bytes of Newton's Opticks; %s instructions.\n\n", *width, hw.Current())

	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(out, "block\tlength\tµs/token\tgrowth\tstate bytes\tgrowth\t\n")
	s := tensor.NewScope(tensor.Workers(*workers))
	for _, b := range list {
		var lastTime, lastBytes float64
		for n := 256; n <= *longest; n *= 2 {
			var st *tensor.State
			best := math.Inf(1)
			for range 3 {
				s.Reset()
				x := tensor.Gather(tensor.Enter(s, embedding), ids[:n], 1, n)
				st = b.block.NewState(1)
				start := time.Now()
				nn.Long(b.block, x, st)
				if best = min(best, time.Since(start).Seconds()); best > 1 {
					break // long enough to be a fair measure
				}
			}
			perToken, bytes := 1e6*best/float64(n), float64(st.Bytes())
			fmt.Fprintf(out, "%s\t%d\t%.2f\t%s\t%d\t%s\t\n", b.name, n, perToken, growth(perToken, lastTime), st.Bytes(), growth(bytes, lastBytes))
			lastTime, lastBytes = perToken, bytes
		}
	}
	out.Flush()

	fmt.Fprint(w, "\nThe same 1000 bytes whole, cut into pieces, and token by token: largest difference over largest output\n\n")
	fmt.Fprint(out, "block\tpieces\tone by one\t\n")
	for _, b := range list {
		s.Reset()
		x := tensor.Gather(tensor.Enter(s, embedding), ids[:1000], 1, 1000)
		whole := b.block.Forward(x, nil)
		fmt.Fprintf(out, "%s\t%.1e\t%.1e\t\n", b.name,
			difference(whole, pieces(b.block, x, 1, 300, 77, 2, 620)), difference(whole, pieces(b.block, x, 1)))
	}
	return out.Flush()
}

// pieces feeds x to the layer in pieces of the given lengths, the last one again and again.
func pieces(l nn.Layer, x *tensor.Tensor, lengths ...int) *tensor.Tensor {
	st := l.NewState(1)
	var parts []*tensor.Tensor
	for lo, i := 0, 0; lo < x.Dim(1); i++ {
		n := min(lengths[min(i, len(lengths)-1)], x.Dim(1)-lo)
		parts = append(parts, l.Forward(x.Narrow(1, lo, lo+n), st))
		lo += n
	}
	return tensor.Concat(1, parts...)
}

func difference(a, b *tensor.Tensor) float64 {
	x, y := a.Data(), b.Data()
	worst, largest := 0.0, 0.0
	for i := range x {
		worst = max(worst, math.Abs(float64(x[i]-y[i])))
		largest = max(largest, math.Abs(float64(x[i])))
	}
	return worst / largest
}

func growth(now, before float64) string {
	if before == 0 {
		return ""
	}
	return fmt.Sprintf("×%.2f", now/before)
}

// generate streams text from a checkpoint.
func generate(w io.Writer) error {
	m, err := lm.LoadRWKV(*model)
	if err != nil {
		return err
	}
	var tok tokenizer.Bytes
	if m.Vocab() != tok.Size() {
		return fmt.Errorf("%s has a vocabulary of %d: this example reads byte-level models, of 256", *model, m.Vocab())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	out := bufio.NewWriter(w)
	defer out.Flush()
	fmt.Fprint(out, *prompt)
	start, n := time.Now(), 0
	options := lm.Options{MaxTokens: *tokens, Workers: *workers, Sampler: &lm.Sampler{Temperature: *temp, TopP: 0.9, Seed: *seed}}
	for id, err := range m.Generate(ctx, tok.Encode(*prompt), m.NewState(1), options) {
		if err != nil {
			return err
		}
		out.Write(tok.Append(nil, id))
		out.Flush()
		n++
	}
	fmt.Fprintf(out, "\n\n%s: %d tokens, %.0f a second\n", m.Arch, n, float64(n)/time.Since(start).Seconds())
	return nil
}
